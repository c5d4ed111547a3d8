"""`python -m browser.fan_out NUMBER` adds a running run with a fan-out of equal nodes to the configured ledger and
prints its id."""

import os
import sys

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:
    django.setup()

from django.db import transaction  # what follows needs Django

from executions.models import WorkflowExecution
from workflows.models import Workflow
from workflows.submitted_graph import SubmittedGraph


@transaction.atomic
def make(number: int) -> WorkflowExecution:
    """Make a run of a start and of that many nodes after it: `load_1`, `load_2`, ..."""
    workflow = Workflow(name=f"A fan-out of {number} nodes")
    workflow.save()
    names = [f"load_{place}" for place in range(1, number + 1)]
    edges = [{"source_node_id": "start", "target_node_id": name} for name in names]
    nodes = [{"name": name, "node_type": "tool"} for name in ("start", *names)]
    SubmittedGraph(workflow, nodes, edges).save(workflow)
    run = WorkflowExecution(workflow=workflow, trigger_type="event")
    run.save()
    run.start()
    for node in workflow.nodes.order_by("id"):
        run.add_node(node)
    return run


if __name__ == "__main__":
    sys.stdout.write(f"{make(*map(int, sys.argv[1:])).pk}\n")
