"""The state machine, walked: from every state, every verb, for runs and for node executions."""

from typing import Any

import pytest

from executions.exceptions import InvalidTransition
from executions.models import NodeExecution, WorkflowExecution
from executions.states import NODE_EXECUTION, WORKFLOW_EXECUTION, ExecutionStatus
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state, startable

pytestmark = pytest.mark.django_db

RUN_VERBS = {
    "start": ("running", ()),
    "complete": ("completed", ()),
    "fail": ("failed", ("it broke",)),
    "cancel": ("cancelled", ()),
    "retry": ("pending", ()),
}
NODE_VERBS = RUN_VERBS | {"skip": ("skipped", ())}
# The contract's, not read from the code.
RUN_MOVES = {
    ("pending", "start"), ("pending", "cancel"), ("running", "complete"), ("running", "fail"), ("running", "cancel"),
    ("failed", "retry"),
}  # fmt: skip
NODE_MOVES = RUN_MOVES | {("pending", "skip")}


def walk(moves: set[tuple[str, str]], verbs: dict[str, Any], states: list[str]) -> list[Any]:
    return [
        pytest.param(state, verb, to, arguments, (state, verb) in moves, id=f"{state}-{verb}")
        for state in states
        for verb, (to, arguments) in verbs.items()
    ]


RUN_WALK = walk(RUN_MOVES, RUN_VERBS, ["pending", "running", "completed", "failed", "cancelled"])
NODE_WALK = walk(NODE_MOVES, NODE_VERBS, list(ExecutionStatus.values))


def check_move(row: Any, verb: str, to: str, arguments: tuple[Any, ...], legal: bool) -> None:
    before = type(row).objects.filter(pk=row.pk).values().get()
    if legal:
        getattr(row, verb)(*arguments)
        assert str(row.status) == to
        assert row.version == before["version"] + 1
        check_same_as_stored(row)
        check_times(row, before["status"])
    else:
        with pytest.raises(InvalidTransition, match=f"^Cannot {verb} execution in {before['status']} state"):
            getattr(row, verb)(*arguments)
        assert type(row).objects.filter(pk=row.pk).values().get() == before
        assert row.status == before["status"]


def check_times(row: Any, came_from: str) -> None:
    """Check that a running row has a start, an ended one an end, and a pending one neither."""
    assert (row.started_at is not None) is (row.status == "running" or came_from == "running")
    assert (row.ended_at is not None) is (row.status in {"completed", "failed", "skipped", "cancelled"})
    assert not (row.started_at and row.ended_at) or row.ended_at >= row.started_at


def check_same_as_stored(row: Any) -> None:
    fields = [field.attname for field in row._meta.concrete_fields]
    stored = type(row).objects.get(pk=row.pk)
    assert {name: getattr(row, name) for name in fields} == {name: getattr(stored, name) for name in fields}


@pytest.mark.parametrize(("state", "verb", "to", "arguments", "legal"), RUN_WALK)
def test_a_run_moves_as_its_table_says(state: str, verb: str, to: str, arguments: Any, legal: bool) -> None:
    check_move(in_state(WorkflowExecutionFactory(), state), verb, to, arguments, legal)


@pytest.mark.slow
@pytest.mark.parametrize(("state", "verb", "to", "arguments", "legal"), NODE_WALK)
def test_a_node_execution_moves_as_its_table_says(state: str, verb: str, to: str, arguments: Any, legal: bool) -> None:
    check_move(startable(in_state(NodeExecutionFactory(), state)), verb, to, arguments, legal)


@pytest.mark.parametrize("verb", RUN_VERBS)
def test_a_skipped_run_is_final(verb: str) -> None:
    run = WorkflowExecutionFactory(status="skipped", ended_at="2026-01-01T00:00Z")
    check_move(run, verb, *RUN_VERBS[verb], legal=False)


def test_the_tables_are_the_contracts() -> None:
    for transitions, verbs, moves in (
        (WORKFLOW_EXECUTION, RUN_VERBS, RUN_MOVES),
        (NODE_EXECUTION, NODE_VERBS, NODE_MOVES),
    ):
        assert set(transitions) == set(ExecutionStatus)
        reached = {(str(state), str(to)) for state, targets in transitions.items() for to in targets}
        assert reached == {(state, verbs[verb][0]) for state, verb in moves}


@pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
def test_times_come_from_one_clock_and_the_end_is_never_before_the_start(factory: Any) -> None:
    row = in_state(factory(), "running")
    type(row).objects.update(started_at="2999-01-01T00:00Z")  # as if the clock had been set back since
    row.complete()
    assert row.ended_at == type(row).objects.get(pk=row.pk).started_at
    assert type(row).objects.get(pk=row.pk).duration_seconds == 0


@pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
def test_an_object_of_an_earlier_attempt_moves_nothing(factory: Any) -> None:
    row = in_state(factory(), "running")
    stale = type(row).objects.get(pk=row.pk)
    row.fail("first try")
    row.retry()
    row.start()
    with pytest.raises(InvalidTransition, match="this is attempt 1 and the row is at attempt 2"):
        stale.complete({"late": True})
    row.refresh_from_db()
    assert (str(row.status), row.output_data) == ("running", None)


@pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
def test_a_row_that_is_gone_cannot_be_moved(factory: Any) -> None:
    row = factory()
    type(row).objects.filter(pk=row.pk).delete()
    with pytest.raises(type(row).DoesNotExist):
        row.cancel()


@pytest.mark.parametrize("model", [WorkflowExecution, NodeExecution])
def test_terminal_states_are_those_that_have_ended(model: Any) -> None:
    terminal = {status for status in ExecutionStatus if model(status=status).is_terminal}
    assert terminal == {"completed", "failed", "skipped", "cancelled"}


@pytest.mark.parametrize("factory", [WorkflowExecutionFactory, NodeExecutionFactory])
def test_a_failure_is_recorded_even_where_its_message_is_not_quite_text(factory: Any) -> None:
    row = in_state(factory(), "running")
    row.fail("price \x00 of \udc80")
    assert type(row).objects.get(pk=row.pk).error_message == "price \\x00 of \\udc80"
