"""The page of a run in tests."""

import re
from typing import Any

from django.urls import reverse

from executions.models import WorkflowExecution
from executions.tests.factories import (
    in_state,
    run_with_nodes,
)
from ledgerkit.tests.clients import client_of

MARKUP = "<script>alert(1)</script>"


def page(user: Any, run: Any, query: str = "", status: int = 200) -> str:
    client = client_of(user)
    response = client.get(reverse("admin:executions_workflowexecution_change", args=[run.pk]) + query)
    assert response.status_code == status
    return response.content.decode()


def part(html: str, start: str, end: str) -> str:
    return html[html.index(start) :].partition(end)[0]


def text(html: str) -> str:
    """Return the texts of the page."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def execution(run: Any, name: str) -> Any:
    return run.node_executions.get(node__name=name)


def completed_run(workflow: Any, output: Any = None, **outputs: Any) -> WorkflowExecution:
    """Return a run whose nodes completed, each with its output of `outputs`."""
    run = run_with_nodes(workflow)
    for node in run.node_executions.all():
        in_state(node, "running").complete(outputs.get(node.node.name, {"ok": True}))
    run.complete(output)
    return run
