"""`config["log_level"]`: lines below it are not stored, whichever way they come, and counted."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from executions import absent_log_lines, ingest, log_gaps
from executions.facts import record
from executions.models import DroppedLines, ExecutionLog, WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, WorkflowExecutionFactory
from ledgerkit.db.models import uuid7
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db

LEVELS = ("debug", "info", "warning", "error")
type Write = Callable[[WorkflowExecution, list[dict[str, Any]]], Any]


@pytest.fixture
def run(owner: Any) -> WorkflowExecution:
    return WorkflowExecutionFactory(workflow=WorkflowFactory(owner=owner, config={"log_level": "warning"}))


def by_api(run: WorkflowExecution, lines: list[dict[str, Any]], api: Any, owner: Any) -> None:
    answer = api(owner).post(f"/api/v1/executions/{run.pk}/logs/", lines, "json")
    assert answer.status_code == 201
    assert [line["level"] for line in answer.json()] == [line["level"] for line in lines]


def by_events(run: WorkflowExecution, lines: list[dict[str, Any]], api: Any, owner: Any) -> None:
    facts = [{"kind": "log", "id": str(uuid7()), "workflow_execution": str(run.pk), **line} for line in lines]
    answer = api(owner).post("/api/v1/events/", facts, "json")
    assert (answer.status_code, answer.json()["applied"], answer.json()["refused"]) == (200, len(lines), 0)


def by_record(run: WorkflowExecution, lines: list[dict[str, Any]], api: Any, owner: Any) -> None:
    record(
        [{"kind": "log", "id": str(uuid7()), "workflow_execution": str(run.pk), **line} for line in lines], user=owner
    )


def by_save(run: WorkflowExecution, lines: list[dict[str, Any]], api: Any, owner: Any) -> None:
    for line in lines:
        run.logs.create(**line)


def by_bulk(run: WorkflowExecution, lines: list[dict[str, Any]], api: Any, owner: Any) -> None:
    ExecutionLog.objects.bulk_create([ExecutionLog(workflow_execution=run, **line) for line in lines])


def by_copy(run: WorkflowExecution, lines: list[dict[str, Any]], api: Any, owner: Any) -> None:
    ingest.write_lines([ExecutionLog(workflow_execution=run, **line) for line in lines])


@pytest.mark.parametrize("write", [by_api, by_events, by_record, by_save, by_bulk, by_copy])
def test_lines_below_the_level_are_counted_and_not_stored(write: Any, run: Any, api: Any, owner: Any) -> None:
    lines = [{"level": level, "message": f"{level} hunter2"} for level in LEVELS]
    write(run, lines, api, owner)
    write(run, lines[:1], api, owner)
    assert list(run.logs.order_by("id").values_list("level", flat=True)) == ["warning", "error"]
    assert absent_log_lines.dropped_lines(run) == (3, "warning")
    run.delete()
    assert not DroppedLines.objects.exists()


@pytest.mark.parametrize("write", [by_api, by_events, by_save])
def test_numbers_of_dropped_lines_are_not_missing(write: Any, run: Any, api: Any, owner: Any) -> None:
    numbered = [(1, "info"), (2, "debug"), (4, "info"), (5, "error"), (6, "info"), (9, "error")]
    for source in ("worker-1", None):
        write(
            run, [{"level": level, "message": "x", "seq": seq, "source": source} for seq, level in numbered], api, owner
        )
    gaps = {(gap.source, gap.first, gap.last) for gap in log_gaps.missing_lines(run.pk).gaps}
    assert gaps == {(source, first, last) for source in ("worker-1", None) for first, last in ((3, 3), (7, 8))}


@pytest.mark.parametrize("write", [by_api, by_events, by_save])
def test_numbered_lines_that_are_sent_again_are_counted_once(write: Any, run: Any, api: Any, owner: Any) -> None:
    for numbers in ([1, 2, 2], [2, 3], [1, 2, 3]):
        write(run, [{"level": "info", "message": "x", "seq": seq, "source": "engine"} for seq in numbers], api, owner)
    assert DroppedLines.objects.get().number == 3


def test_a_new_run_of_the_same_call_has_the_level_too(run: WorkflowExecution, owner: Any) -> None:
    id = str(uuid7())
    record(
        [
            {"kind": "execution.create", "id": id, "workflow": str(run.workflow_id), "trigger_type": "manual"},
            {"kind": "log", "id": str(uuid7()), "workflow_execution": id, "level": "info", "message": "x"},
        ],
        user=owner,
    )
    assert not ExecutionLog.objects.exists()
    assert DroppedLines.objects.get().workflow_execution_id == WorkflowExecution.objects.latest("id").pk


def test_a_level_from_before_the_check_that_does_not_exist_is_ignored(run: WorkflowExecution) -> None:
    Workflow.objects.update(config={"log_level": "verbose"})
    ExecutionLogFactory(workflow_execution=run, level="debug")
    assert run.logs.count() == 1


def test_without_a_level_nothing_is_counted(django_assert_num_queries: Any) -> None:
    run = WorkflowExecutionFactory()
    ExecutionLogFactory(workflow_execution=run)
    with django_assert_num_queries(2):
        ExecutionLogFactory(workflow_execution=run, level="debug")
    assert not DroppedLines.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_who_drop_lines_at_once_are_all_counted(run: WorkflowExecution) -> None:
    def write() -> None:
        for _ in range(10):
            ingest.write_lines([ExecutionLog(workflow_execution=run, level=level, message="x") for level in LEVELS])
        connection.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (absent_log_lines.dropped_lines(run), run.logs.count()) == ((80, "warning"), 80)
