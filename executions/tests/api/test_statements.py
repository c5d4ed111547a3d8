"""Number of SQL statements of a transition over HTTP, with the check of the token and the note of its use.

Counted is whatever Django executes, savepoints too, but not BEGIN and COMMIT. Beside it stands, at most once a minute,
what one call of a process does to delete expired secrets.
"""

import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.exceptions import InvalidTransition
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.secrets import retention
from executions.tests.cast import permissions
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from tokens.models import Token
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "hunter2-and-more"
BODIES = {
    "complete": {"output_data": {"said": f"with {SECRET}"}},
    "fail": {"error_message": f"refused {SECRET}"},
    "cancel": {"reason": f"as {SECRET} was refused"},
    "retry": {"reason": f"as {SECRET} is taken again"},
}
CONTEXTS = {"without secrets": {}, "with secrets": {"secrets": {"db": SECRET}}}
# The token with the row, the move; of a node's retry also the attempt that it replaces, of a run's retry the nodes that
# go with it.
OF_RUN = [
    ("start", "pending", 2),
    ("complete", "running", 2),
    ("fail", "running", 2),
    ("cancel", "pending", 2),
    ("cancel", "running", 2),
    ("retry", "failed", 3),
]
OF_NODE = [
    ("start", "pending", 2),
    ("complete", "running", 2),
    ("fail", "running", 2),
    ("skip", "pending", 2),
    ("cancel", "pending", 2),
    ("cancel", "running", 2),
    ("retry", "failed", 3),
]
# Whether this very call notes the token's use.
NOTED = pytest.mark.parametrize("used", [True, False], ids=["use noted before", "use noted now"])


@pytest.fixture(autouse=True)
def tidy(monkeypatch: Any) -> None:
    """Pretend that expired secrets were deleted a moment ago."""
    monkeypatch.setattr(retention, "_purged_at", time.monotonic())


@pytest.fixture(params=CONTEXTS)
def run(request: Any, workflow: Workflow) -> WorkflowExecution:
    """Return a pending run, with or without secrets, with two pending nodes that may be retried."""
    new: WorkflowExecution = WorkflowExecutionFactory(workflow=workflow, context=CONTEXTS[request.param])
    for name in ("rank", "report"):
        NodeExecutionFactory(workflow_execution=new, node=workflow.nodes.get(name=name))
    return new


def statements(client: Any, url: str, verb: str, **headers: Any) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        answer = client.post(f"/api/v1/{url}/{verb}/", BODIES.get(verb, {}), format="json", **headers)
    assert answer.status_code == 200, answer.json()
    return [query["sql"] for query in captured if query["sql"] not in {"BEGIN", "COMMIT"}]


@pytest.mark.slow
@NOTED
@pytest.mark.parametrize(("verb", "state", "number"), OF_RUN)
def test_a_move_of_a_run(
    api: Any, owner: Any, run: WorkflowExecution, verb: str, state: str, number: int, used: bool
) -> None:
    run = prepare_run(run, state, verb)
    assert len(statements(api(owner, used=used), f"executions/{run.pk}", verb)) == number
    assert Token.objects.get().last_used_at is not None
    assert run.node_executions.active().exists() is (verb in {"start", "retry"})
    assert_masked(run, run)


def prepare_run(run: WorkflowExecution, state: str, verb: str) -> WorkflowExecution:
    """Return a run in `state` with two nodes, one as far as the verb allows and the other behind it."""
    rank, report = run.node_executions.order_by("id")
    if state == "pending":
        return run
    run.start()
    if verb != "complete":
        rank.start()
    if state == "failed":
        rank.fail(f"login with {SECRET} refused", "Traceback: line 1")
        report.skip()
        run.fail("rank failed")
    return run


@pytest.mark.slow
@NOTED
@pytest.mark.parametrize(("verb", "state", "number"), OF_NODE)
def test_a_move_of_a_node(
    api: Any, owner: Any, run: WorkflowExecution, verb: str, state: str, number: int, used: bool
) -> None:
    run.start()
    node = in_state(run.node_executions.first(), state)
    assert len(statements(api(owner, used=used), f"node-executions/{node.pk}", verb)) == number
    assert_masked(node, run)
    assert verb != "retry" or "went wrong" in node.attempts.get().error_message


def assert_masked(row: Any, run: WorkflowExecution) -> None:
    """Check that the row is masked by the secrets of its run."""
    row.refresh_from_db()
    said = [row.output_data, row.error_message, *run.history.values_list("reason", flat=True)]
    said += [kept.error_message for each in (run, *run.node_executions.all()) for kept in each.attempts.all()]
    assert not run.context or SECRET not in str(said)


@pytest.mark.parametrize("who", ["owner", "staff", "operator", "owner who is staff"])
def test_whoever_says_it(api: Any, request: Any, run: WorkflowExecution, who: str) -> None:
    user = request.getfixturevalue("owner" if who.startswith("owner") else "staff")
    user.is_superuser, user.is_staff = who == "staff", who != "owner"
    user.save()
    if who == "operator":
        user.user_permissions.set(permissions("view_workflowexecution", "change_workflowexecution"))
    client = api(user, bound_to=[run.workflow_id], used=False)
    numbers = [len(statements(client, f"executions/{run.pk}", verb)) for verb in ("start", "fail", "retry", "cancel")]
    of_permissions = 2 if who == "operator" else 0  # who is neither the owner nor a superuser
    assert [number - of_permissions for number in numbers] == [2, 2, 3, 2]


@pytest.mark.parametrize("size", [0, 1, 30])
def test_the_retry_of_a_run_costs_the_same_for_any_number_of_nodes(
    api: Any, owner: Any, workflow: Workflow, size: int
) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow, context=CONTEXTS["with secrets"]), "running")
    for _ in range(size):
        in_state(NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.first()), "failed")
        NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.last())
    run.fail("x")
    assert len(statements(api(owner), f"executions/{run.pk}", "retry")) == 3
    assert run.node_executions.filter(status="pending").count() == 2 * size
    assert [row.attempts.count() for row in (run, *run.node_executions.filter(retry_count=1))] == [1] * (1 + size)


def test_a_retry_masks_what_the_run_has_learnt_since_and_costs_no_more(
    api: Any, owner: Any, run: WorkflowExecution
) -> None:
    later = "swordfish-99"
    run.start()
    node = in_state(run.node_executions.first(), "running")
    node.fail(f"login with {later} refused", f"Traceback: {later}")
    run.fail(f"{later} refused")
    ExecutionLog.objects.create(workflow_execution=run, level="info", message="of it", data={"password": later})
    assert len(statements(api(owner), f"executions/{run.pk}", "retry")) == 3
    kept, of_node = run.attempts.get(), node.attempts.get()
    assert later not in f"{kept.error_message} {of_node.error_message} {of_node.error_traceback}"
    assert (kept.error_message, of_node.error_message) == ("***masked*** refused", "login with ***masked*** refused")


def test_a_verb_whose_run_has_learnt_a_secret_since_it_was_read_locks_it_and_repeats_its_update(
    run: WorkflowExecution,
) -> None:
    run.start()
    node = in_state(run.node_executions.first(), "running")
    for row, later in ((NodeExecution.objects.with_run().get(pk=node.pk), "swordfish-1"), (run, "swordfish-2")):
        ExecutionLog.objects.create(workflow_execution_id=run.pk, level="info", message="x", data={"password": later})
        with CaptureQueriesContext(connection) as captured:
            row.fail(f"login with {later} refused")
        statements = [query["sql"] for query in captured if query["sql"] not in {"BEGIN", "COMMIT"}]
        _missed, locks, _moved = statements
        assert locks.endswith("FOR NO KEY UPDATE")
        assert row.error_message == "login with ***masked*** refused"


def test_a_key_adds_what_keeps_the_answer(api: Any, owner: Any, run: WorkflowExecution) -> None:
    """Its lock, what is over, the answer that there may be, the one that is kept, and a savepoint around the work."""
    client, node = api(owner, used=False), run.node_executions.first()
    keys = iter("abcd")
    for url, verb, number in [
        (f"executions/{run.pk}", "start", 2),
        (f"node-executions/{node.pk}", "start", 2),
        (f"executions/{run.pk}", "fail", 2),
        (f"executions/{run.pk}", "retry", 3),
    ]:
        assert len(statements(client, url, verb, HTTP_IDEMPOTENCY_KEY=next(keys))) == number + 6


def test_if_match_adds_the_lock_of_the_row_and_a_savepoint(api: Any, owner: Any, run: WorkflowExecution) -> None:
    assert len(statements(api(owner), f"executions/{run.pk}", "start", HTTP_IF_MATCH='"1"')) == 2 + 3


def test_a_new_node_takes_one_statement_beside_the_token_with_the_run_and_its_node(
    api: Any, owner: Any, run: WorkflowExecution
) -> None:
    client = api(owner)
    with CaptureQueriesContext(connection) as captured:
        answer = client.post(
            f"/api/v1/executions/{run.pk}/nodes/", {"node": "rank", "input_data": {"by": SECRET}}, format="json"
        )
    assert answer.status_code == 201, answer.json()
    assert len(captured) == 3
    stored = NodeExecution.objects.get(pk=answer.json()["id"])
    assert answer.json()["created_at"] == stored.created_at.isoformat().replace("+00:00", "Z")
    assert (stored.node_name, stored.input_data) == ("rank", answer.json()["input_data"])
    assert not run.context or SECRET not in str(stored.input_data)


def test_a_new_node_of_a_run_that_has_learnt_a_secret_since_it_was_read_is_masked(run: WorkflowExecution) -> None:
    later = "swordfish-1"
    ExecutionLog.objects.create(workflow_execution_id=run.pk, level="info", message="x", data={"password": later})
    node = run.add_node(run.workflow.nodes.get(name="rank"), input_data={"by": f"login with {later}"})
    node.refresh_from_db()
    assert node.input_data == {"by": "login with ***masked***"}


def test_no_node_is_added_to_a_run_that_has_ended_since_it_was_read(run: WorkflowExecution) -> None:
    WorkflowExecution.objects.get(pk=run.pk).cancel()
    with pytest.raises(InvalidTransition):
        run.add_node(run.workflow.nodes.get(name="rank"))
