"""Lines that come, and runs that are kept, while upkeep removes log lines."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from executions import absent_log_lines
from executions.models import ArchiveFile, ExecutionLog, KeptRun, LogRemoval, WorkflowExecution
from executions.partitions import Partition
from executions.tests.archive.runs import rows_in
from executions.tests.facts.reporting import line, send
from executions.upkeep import log_line_deletion, log_partitions, log_retention
from executions.upkeep.advisory_lock import connect

from .log_removal import lines, remove_lines
from .old_rows import days_ago, id_at, line_of, run_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("short_rules")]


@pytest.fixture
def after_archiving(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Return what lets something happen once, when the lines of a partition were archived."""

    def happen(event: Callable[[], object]) -> None:
        archived, events = log_retention.archive_lines, [event]

        def archive(*arguments: Any, **more: Any) -> Any:
            files = archived(*arguments, **more)
            while events:
                events.pop()()
            return files

        monkeypatch.setattr(log_retention, "archive_lines", archive)

    return happen


def test_lines_of_a_run_that_is_kept_while_its_partition_is_removed_stay(after_archiving: Any) -> None:
    kept, other = run_of(45), run_of(45)
    line_of(45, kept, message="kept", data={"n": 1})
    line_of(45, other, message="other")
    before = ExecutionLog.objects.filter(workflow_execution=kept).values().get()
    after_archiving(lambda: KeptRun.keep(kept))
    assert remove_lines() == 1
    assert ExecutionLog.objects.values().get() == before
    assert LogRemoval.objects.get().number == 1
    assert [bool(absent_log_lines.removed_lines(run)) for run in (kept, other)] == [False, True]
    KeptRun.release(kept)
    assert remove_lines() == 1


def test_a_run_that_is_kept_while_its_lines_are_removed_says_that_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark waits until they are removed, and its author gets no answer that they stay."""
    run = run_of(45)
    line_of(45, run)
    record = log_line_deletion.record

    def keep() -> None:
        KeptRun.keep(run)
        connection.close()

    thread = threading.Thread(target=keep)

    def record_meanwhile(*arguments: Any, **options: Any) -> None:
        thread.start()
        until = time.monotonic() + 10
        while not waits_for_marks() and time.monotonic() < until:
            time.sleep(0.01)
        assert waits_for_marks()
        record(*arguments, **options)

    monkeypatch.setattr(log_line_deletion, "record", record_meanwhile)
    assert remove_lines() == 1
    thread.join()
    assert KeptRun.objects.filter(pk=run.pk).exists()
    assert absent_log_lines.removed_lines(run)


def waits_for_marks() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE datname = current_database() AND relation = 'execution_kept_runs'::regclass AND NOT granted"
        )
        return bool(cursor.fetchone()[0])


def test_a_run_that_is_kept_after_its_lines_were_removed_says_so_whatever_is_removed_later() -> None:
    kept, other = run_of(45), run_of(45)
    line_of(45, kept)
    assert remove_lines() == 1
    KeptRun.keep(kept)
    KeptRun.keep(kept, "another reason")
    line_of(45, other, message="late")
    assert remove_lines() == 1
    assert absent_log_lines.removed_lines(kept)


def test_a_line_that_comes_while_lines_of_its_level_are_removed_is_archived_before_it_goes(
    after_archiving: Any, settings: Any, tmp_path: Path
) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"DETAIL_LOG_DAYS": 7, "ARCHIVE": str(tmp_path)}
    run = run_of(20)
    line_of(16, run, level="info", message="old")
    line_of(16, run, level="error", message="stays")
    after_archiving(lambda: line_of(16, run, level="info", message="late"))
    assert remove_lines() == 1
    assert lines() == {"late", "stays"}
    assert remove_lines() == 1
    names = ArchiveFile.objects.values_list("name", flat=True)
    assert sorted(row["message"] for name in names for row in rows_in(tmp_path, name)) == ["late", "old", "stays"]


def test_a_detach_that_is_still_busy_is_a_note_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_partitions, "PATIENCE", 0.1)
    for days in (45, 55):
        line_of(days, run_of(days))
    with connect() as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM execution_logs")
        for _ in range(2):  # the first call leaves a DETACH that the second one cannot finish
            result = log_retention.apply(lambda *_: None)
            assert (result.rows, {note.partition(" is in use")[0] for note in result.notes}) == (
                0, {Partition.at(days_ago(days)).name for days in (45, 55)},
            )  # fmt: skip
    assert remove_lines() == 2


def late_by_rest(run: WorkflowExecution, client: Any) -> None:
    path, late = f"/api/v1/executions/{run.pk}/logs/", str(id_at(days_ago(45)))
    response = client.post(path, {"id": late, "level": "info", "message": "late"}, "json")
    assert response.status_code == 201, response.content


def late_by_facts(run: WorkflowExecution, client: Any) -> None:
    send(client, line(str(run.pk), "late", id=str(id_at(days_ago(45)))), line(str(run.pk), "new"))


def late_in_process(run: WorkflowExecution, _client: Any) -> None:
    line_of(45, run, message="late")
    late = ExecutionLog(id=id_at(days_ago(45)), workflow_execution=run, level="info", message="late")
    ExecutionLog.objects.bulk_create([late, ExecutionLog(workflow_execution=run, level="info", message="new")])


@pytest.mark.parametrize("write", [late_by_rest, late_by_facts, late_in_process])
def test_a_late_line_is_left_out_while_a_reader_holds_up_the_removal_of_its_period(
    write: Any, monkeypatch: pytest.MonkeyPatch, api: Any, owner: Any, workflow: Any, caplog: Any
) -> None:
    monkeypatch.setattr(log_partitions, "PATIENCE", 0.1)
    run = run_of(45, workflow=workflow)
    line_of(45, run, message="old")
    with connect() as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM execution_logs")
        assert remove_lines() == 0
        for _ in range(2):
            write(run, api(owner))
        assert "of a period that upkeep is removing" in caplog.text
        assert lines() <= {"new"}
    assert remove_lines() == 1
    write(run, api(owner))
    assert "late" in lines()
    assert remove_lines() >= 1


def test_a_partition_without_lines_leaves_no_record() -> None:
    run = run_of(45)
    line_of(45, run).delete()
    assert remove_lines() == 0
    assert absent_log_lines.removed_lines(run) == []
    assert WorkflowExecution.objects.get() == run
