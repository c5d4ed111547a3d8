"""`python -m browser.large_run NODES LINES` adds one large run to the configured ledger and prints its id."""

import os
import sys

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
if not apps.ready:
    django.setup()

from django.db import transaction  # what follows needs Django

from executions import ingest
from executions.models import ExecutionLog, LogLevel, NodeExecution, WorkflowExecution
from workflows.models import Workflow
from workflows.submitted_graph import SubmittedGraph

WIDTH, BATCH = 10, 10_000


@transaction.atomic
def make(nodes: int, lines: int) -> WorkflowExecution:
    """Make a running run with levels of ten nodes, each of which depends on two of the level before."""
    workflow = Workflow(name=f"A run of {nodes} nodes")
    workflow.save()
    names = [f"Node {number}" for number in range(nodes)]
    edges = [
        {"source_node_id": names[number - WIDTH - shift], "target_node_id": names[number]}
        for number in range(WIDTH, nodes)
        for shift in ({0, 1} if number % WIDTH else {0})
    ]
    SubmittedGraph(workflow, [{"name": name, "node_type": "tool"} for name in names], edges).save(workflow)
    run = WorkflowExecution(workflow=workflow, trigger_type="event")
    run.save()
    run.start()
    of_run = [run.add_node(node) for node in workflow.nodes.order_by("id")]
    for node in of_run[: nodes // 2]:
        node.start()
        node.complete()
    _write(run, of_run, lines)
    return run


def _write(run: WorkflowExecution, nodes: list[NodeExecution], lines: int) -> None:
    for first in range(0, lines, BATCH):
        ingest.write_lines(
            ExecutionLog(
                workflow_execution=run,
                node_execution=nodes[number % len(nodes)],
                level=LogLevel.ERROR if number % 1000 == 999 else LogLevel.INFO,
                message=f"line {number} of {lines}: loaded {number * 7 % 9973} rows",
            )
            for number in range(first, min(first + BATCH, lines))
        )


if __name__ == "__main__":
    sys.stdout.write(f"{make(*map(int, sys.argv[1:])).pk}\n")
