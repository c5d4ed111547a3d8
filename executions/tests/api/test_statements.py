"""What a transition costs in SQL, over HTTP, the token's check included.

Counted is whatever Django executes, savepoints too, but not BEGIN and COMMIT. Beside it stands, at most once a minute,
what one call of a process does to delete expired secrets.
"""

import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import vault
from executions.models import WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "hunter2-and-more"
BODIES = {"complete": {"output_data": {"said": f"with {SECRET}"}}, "fail": {"error_message": f"refused {SECRET}"}}
CONTEXTS = {"without": {}, "with": {"secrets": {"db": SECRET}}}
# The token, the row, the move; of a run's end also its nodes, of a retry the attempt that it replaces.
OF_RUN = [
    ("start", "pending", 3),
    ("complete", "running", 4),
    ("fail", "running", 4),
    ("cancel", "pending", 4),
    ("cancel", "running", 4),
]
OF_NODE = [
    ("start", "pending", 3),
    ("complete", "running", 3),
    ("fail", "running", 3),
    ("skip", "pending", 3),
    ("cancel", "pending", 3),
    ("cancel", "running", 3),
    ("retry", "failed", 4),
]


@pytest.fixture(autouse=True)
def tidy(monkeypatch: Any) -> None:
    """Expired secrets were deleted a moment ago."""
    monkeypatch.setattr(vault, "_purged_at", time.monotonic())


@pytest.fixture(params=CONTEXTS)
def run(request: Any, workflow: Workflow) -> WorkflowExecution:
    """Pending, with or without secrets, two pending nodes, and an allowance to be retried."""
    new: WorkflowExecution = WorkflowExecutionFactory(workflow=workflow, context=CONTEXTS[request.param])
    for name in ("rank", "report"):
        NodeExecutionFactory(workflow_execution=new, node=workflow.nodes.get(name=name))
    return new


def statements(client: Any, url: str, verb: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        answer = client.post(f"/api/v1/{url}/{verb}/", BODIES.get(verb, {}), format="json")
    assert answer.status_code == 200, answer.json()
    return [query["sql"] for query in captured if query["sql"] not in {"BEGIN", "COMMIT"}]


@pytest.mark.parametrize(("verb", "state", "number"), OF_RUN)
def test_a_move_of_a_run(api: Any, owner: Any, run: WorkflowExecution, verb: str, state: str, number: int) -> None:
    in_state(run, state)
    if verb != "complete" and state == "running":
        run.node_executions.first().start()
    assert len(statements(api(owner), f"executions/{run.pk}", verb)) == number
    assert verb == "start" or not run.node_executions.active().exists()
    assert_masked(run, run)


@pytest.mark.parametrize(("verb", "state", "number"), OF_NODE)
def test_a_move_of_a_node(api: Any, owner: Any, run: WorkflowExecution, verb: str, state: str, number: int) -> None:
    run.start()
    node = in_state(run.node_executions.first(), state)
    assert len(statements(api(owner), f"node-executions/{node.pk}", verb)) == number
    assert_masked(node, run)
    assert verb != "retry" or "went wrong" in node.attempts.get().error_message


def assert_masked(row: Any, run: WorkflowExecution) -> None:
    """Where the run knows the secret."""
    row.refresh_from_db()
    assert not run.context or SECRET not in f"{row.output_data} {row.error_message}"


@pytest.mark.parametrize("who", ["owner", "staff", "operator", "owner who is staff"])
def test_whoever_says_it(api: Any, request: Any, run: WorkflowExecution, who: str) -> None:
    user = request.getfixturevalue("owner" if who.startswith("owner") else "staff")
    user.is_superuser, user.is_staff = who == "staff", who != "owner"
    user.save()
    if who == "operator":
        user.user_permissions.set(permissions("view_workflowexecution", "change_workflowexecution"))
    client = api(user, bound_to=[run.workflow_id])
    assert len(statements(client, f"executions/{run.pk}", "start")) == 3
    assert len(statements(client, f"executions/{run.pk}", "complete")) == 4


def test_the_note_of_a_tokens_use_costs_no_statement_of_its_own(api: Any, owner: Any, run: WorkflowExecution) -> None:
    client, node = api(owner, used=False), run.node_executions.first()
    assert len(statements(client, f"executions/{run.pk}", "start")) == 3
    assert len(statements(client, f"node-executions/{node.pk}", "start")) == 3


def test_the_retry_of_a_run_costs_the_same_for_any_number_of_nodes(api: Any, owner: Any, workflow: Workflow) -> None:
    counts = set()
    for size in (1, 30):
        run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
        for _ in range(size):
            in_state(NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.first()), "failed")
            NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.last())
        run.fail("x")
        counts.add(len(statements(api(owner), f"executions/{run.pk}", "retry")))
    assert counts == {15}


def test_a_key_adds_what_keeps_the_answer(api: Any, owner: Any, run: WorkflowExecution) -> None:
    """Its lock, what is over, the answer that there may be, the one that is kept, and a savepoint around the work."""
    client = api(owner)
    client.credentials(**client._credentials, HTTP_IDEMPOTENCY_KEY="a key")
    assert len(statements(client, f"executions/{run.pk}", "start")) == 3 + 6
