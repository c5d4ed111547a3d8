"""The page of a workflow in tests."""

import re
from typing import Any

from executions.models import WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow

MARKUP = "<script>alert(1)</script>"

RUNS = "/admin/executions/workflowexecution/"

LINK = re.compile(r'href="(/admin/executions/[^"]*\?[^"]*)"[^>]*>([^<]*)</a>')

SQUARE = re.compile(r'<td class="status-(\w+)"><a href="([^"]+)" title="([^"]*)"([^>]*)>(\w+)</a></td>')


def address(workflow: Any) -> str:
    return f"/admin/workflows/workflow/{workflow.pk}/"


def page(user: Any, workflow: Any, query: str = "", status: int = 200) -> Any:
    response = client_of(user).get(address(workflow) + query)
    assert response.status_code == status
    return response


def html(user: Any, workflow: Any, query: str = "", status: int = 200) -> str:
    return str(page(user, workflow, query, status).content.decode())


def section(text: str, name: str) -> str:
    return text.partition(f'aria-labelledby="{name}-title"')[2].partition("</section>")[0]


def run_in_states(workflow: Workflow, state: str = "completed", **states: str) -> WorkflowExecution:
    """Return a run in `state` whose nodes are in `states`, by their names; others are completed."""
    run = in_state(WorkflowExecutionFactory(workflow=workflow, metadata={"allow_concurrent": True}), "running")
    for node in workflow.nodes.current():
        if (wanted := states.get(node.name, "completed")) != "missing":
            execution = in_state(NodeExecutionFactory(workflow_execution=run, node=node), "running")
            {"completed": execution.complete, "failed": lambda e=execution: e.fail("no")}.get(wanted, lambda: None)()
    if state == "completed":
        run.complete()
    elif state == "failed":
        run.fail("a node failed")
    return run


def row(user: Any, workflow: Any, name: str, query: str = "") -> Any:
    rows = page(user, workflow, query).context["grid"]["drawn"].rows
    return next(row for row in rows if row.name == name)
