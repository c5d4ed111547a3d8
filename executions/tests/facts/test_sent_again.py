"""Calls that retry rows, sent again: they change nothing, or are refused the first time."""

from typing import Any

import pytest

from executions.facts import batch_recording
from executions.facts.row_reading import history_of
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.facts.reporting import line, new_id, run_facts, send
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def engine(api: Any, owner: Any) -> Any:
    return api(owner, scopes=["executions:report", "executions:control"])


@pytest.fixture
def run(engine: Any, workflow: Workflow) -> str:
    """Return a pending run."""
    id = new_id()
    send(engine, *run_facts(workflow, id)[:1])
    return id


@pytest.fixture
def node(engine: Any, run: str) -> str:
    """Return a running node execution of the run."""
    id = new_id()
    of_node = {"id": id, "workflow_execution": run}
    send(
        engine, {"kind": "execution.start", "id": run}, {"kind": "node.create", "node": "fetch", **of_node},
        {"kind": "node.start", **of_node},
    )  # fmt: skip
    return id


def of_run(run: str, *acts: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"kind": f"execution.{act}", "id": run, **fields} for act in acts]


def of_node(run: str, node: str, *acts: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"kind": f"node.{act}", "id": node, "workflow_execution": run, **fields} for act in acts]


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of entries that calls read of the history, one for each time."""
    found: list[int] = []

    def count(*wanted: Any) -> Any:
        history = history_of(*wanted)
        found.append(sum(map(len, history.values())))
        return history

    monkeypatch.setattr(batch_recording, "history_of", count)
    return found


def test_what_is_sent_again_of_a_large_run_reads_only_entries_of_its_own(
    engine: Any, owner: Any, rows_read: list[int]
) -> None:
    names = [f"node {number}" for number in range(50)]
    run, ids = new_id(), {name: new_id() for name in names}
    *facts, end = run_facts(WorkflowFactory(owner=owner, chain=names), run, ids)
    assert send(engine, *facts)["refused"] == 0
    first = ids["node 0"]
    assert send(engine, *of_run(run, "start"))["known"] == 1
    assert rows_read == []
    again = [*of_node(run, first, "start", "complete"), *of_run(run, "start")]
    assert send(engine, *again)["known"] == 3
    assert rows_read == [3]
    send(engine, end)
    assert send(engine, end, *again)["known"] == 4
    assert rows_read[1:] == [4]


def assert_asks_for_attempt(answer: Any, index: int) -> None:
    (refusal,) = answer["refusals"]
    assert (refusal["index"], refusal["code"]) == (index, "invalid")
    assert refusal["detail"].startswith("attempt: Expected the number of the attempt")
    assert answer["applied"] == 0


def test_a_run_that_a_call_starts_and_retries_without_naming_attempts(engine: Any, run: str) -> None:
    assert_asks_for_attempt(send(engine, *of_run(run, "start", "fail", "retry", "start")), 0)
    assert str(WorkflowExecution.objects.get().status) == "pending"


def test_a_node_that_a_call_fails_and_retries_without_naming_attempts(engine: Any, run: str, node: str) -> None:
    assert_asks_for_attempt(send(engine, line(run, "one"), *of_node(run, node, "fail", "retry")), 1)
    fail, retry = of_node(run, node, "fail", "retry")
    assert_asks_for_attempt(send(engine, fail | {"attempt": 1}, retry), 1)


def test_the_nodes_of_a_run_that_a_call_retries(engine: Any, run: str, node: str) -> None:
    retries = of_run(run, "fail", "retry", attempt=1)
    assert_asks_for_attempt(send(engine, *of_node(run, node, "fail"), *retries), 0)


def test_attempts_that_are_named_are_known_when_they_come_again(engine: Any, run: str, node: str) -> None:
    facts = [
        *of_node(run, node, "fail", "retry", attempt=1), *of_node(run, node, "start", "fail", attempt=2),
        *of_run(run, "fail", "retry", attempt=1), *of_run(run, "start", attempt=2),
    ]  # fmt: skip
    assert send(engine, *facts)["applied"] == len(facts)
    before = [*WorkflowExecution.objects.values(), *NodeExecution.objects.values()]
    assert send(engine, *facts)["known"] == len(facts)
    assert [*WorkflowExecution.objects.values(), *NodeExecution.objects.values()] == before


def test_a_row_that_the_call_creates_needs_no_attempt(engine: Any, workflow: Workflow) -> None:
    run, node = new_id(), new_id()
    facts = [
        *run_facts(workflow, run, {"fetch": node})[:4], *of_node(run, node, "fail", "retry", "start", "fail"),
        *of_run(run, "fail", "retry", "start"),
    ]  # fmt: skip
    assert send(engine, *facts)["applied"] == len(facts)
    assert send(engine, *facts)["known"] == len(facts)


def test_a_retry_alone_and_another_node_need_none(engine: Any, run: str, node: str) -> None:
    other = new_id()
    create = {"kind": "node.create", "id": other, "workflow_execution": run, "node": "rank"}
    assert send(engine, create, *of_node(run, other, "start"))["refused"] == 0
    facts = [*of_node(run, node, "fail", "retry", attempt=1), *of_node(run, other, "complete")]
    assert send(engine, *facts)["applied"] == 3
    assert send(engine, *facts)["known"] == 3
    assert send(engine, *of_run(run, "fail"))["applied"] == 1
    assert send(engine, *of_run(run, "retry"), line(run, "again"))["applied"] == 2
    again = send(engine, *of_run(run, "retry"))
    assert [each["code"] for each in again["refusals"]] == ["invalid_transition"]
    assert WorkflowExecution.objects.get().attempt == 2
