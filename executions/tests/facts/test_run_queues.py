"""Queues of runs in memory: how much of them a call reads and compares."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from executions.facts import batch_recording
from executions.facts.rows import RunRow
from executions.facts.run_queues import Turns
from executions.models import WorkflowExecution
from executions.tests.facts.reporting import new_id, run_facts, send
from ledgerkit.db.models import uuid7
from workflows.models import Workflow

WORKFLOW = uuid7()
BEGAN = datetime(2026, 11, 29, tzinfo=UTC)


class CountedTime(datetime):
    """A time that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        CountedTime.compared += 1
        return super().__eq__(other)

    def __lt__(self, other: Any) -> bool:
        CountedTime.compared += 1
        return super().__lt__(other)

    __hash__ = datetime.__hash__


def queued_run(number: int, workflow: UUID = WORKFLOW) -> RunRow:
    moment = BEGAN + timedelta(seconds=number)
    return RunRow(
        id=uuid7(),
        workflow=workflow,
        is_queued=True,
        created_at=CountedTime(2026, 11, 29, tzinfo=UTC) + (moment - BEGAN),
    )


def comparisons(number: int) -> int:
    """Return how often times are compared while so many runs are queued, asked about, started and ended."""
    CountedTime.compared, turns = 0, Turns()
    runs = [queued_run(each) for each in range(number)]
    for run in runs:
        turns.follow(run)
    for run in runs:
        turns.keep()
        assert turns.first_ahead(run) is None
        assert turns.take_slot(run)
        run.status = "running"
        turns.follow(run)
        turns.free_slot(run)
    return CountedTime.compared


def test_ten_times_as_many_runs_take_few_more_comparisons_each() -> None:
    assert comparisons(1_000) < 20 * comparisons(100)


def test_what_a_refused_run_changed_is_undone() -> None:
    turns, first, second = Turns(), queued_run(1), queued_run(2)
    turns.follow(first)
    turns.follow(second)
    turns.keep()
    assert turns.take_slot(first)
    first.status = "running"
    turns.follow(first)
    assert turns.first_ahead(second) == first.id
    turns.free_slot(first)
    assert turns.first_ahead(second) is None
    turns.undo()
    assert turns.first_ahead(second) == first.id
    first.status = "pending"
    assert turns.first_ahead(first) is None


@pytest.mark.django_db
def test_a_call_reads_no_more_of_a_queue_than_it_has_runs(
    api: Any, owner: Any, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    class CountedTurns(Turns):
        def __init__(self, workflows: Any = (), runs: int = 0) -> None:
            super().__init__(workflows, runs)
            read.append(sum(map(len, self._queues.values())))

    monkeypatch.setattr(batch_recording, "Turns", CountedTurns)
    engine = api(owner)
    runs = [new_id() for _run in range(12)]
    send(engine, *(run_facts(workflow, run, queue=True)[0] for run in runs))
    read.clear()
    start = [{"kind": "execution.start", "id": run} for run in runs]
    assert [each["index"] for each in send(engine, *start[:3])["refusals"]] == [1, 2]
    assert read == [4]
    ended = send(engine, {"kind": "execution.complete", "id": runs[0]}, *start[1:])
    assert len(ended["refusals"]) == 10
    assert str(WorkflowExecution.objects.get(status="running").pk) == runs[1]
