"""Upkeep archives runs before it removes them."""

from pathlib import Path
from typing import Any

import pytest

from executions import run_notes
from executions.models import ArchivedRun, ArchiveFile, KeptRun, WorkflowExecution
from executions.tests.archive.runs import ids, rows_in
from executions.tests.archive.test_late_rows import LATE
from executions.tests.archive.test_restoring import restore
from executions.tests.upkeep.old_rows import remove_runs, run_of
from executions.upkeep import run_retention, runner

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(archive: Path, settings: Any) -> list[WorkflowExecution]:
    settings.EXECUTIONS = settings.EXECUTIONS | {"UPKEEP_PAUSE_MS": 0, "UPKEEP_BATCH_RUNS": 2, "RUN_DAYS": 180}
    return [run_of(days) for days in (200, 201, 202, 203)]


def test_runs_are_archived_many_at_once_before_they_are_deleted(old: Any, archive: Path) -> None:
    assert remove_runs() == 4
    days = {run.created_at.date() for run in old}
    assert ArchiveFile.objects.count() == len(days)
    assert set(ArchivedRun.objects.values_list("pk", flat=True)) == set(ids(old))
    for name in ArchiveFile.objects.values_list("name", flat=True):
        restore(name)
    assert WorkflowExecution.objects.count() == 4
    assert remove_runs() == 0


def test_nothing_is_deleted_where_the_archive_cannot_be_written(old: Any, archive: Path) -> None:
    archive.write_text("no folder")
    (outcome,) = (each for each in runner.run_all() if each.task.name == "run_retention")
    assert outcome.error.startswith("ArchiveError: The archive ")
    assert WorkflowExecution.objects.count() == 4


@pytest.mark.parametrize("kind", ["log", "note", "dropped_lines"])
@pytest.mark.django_db(transaction=True)
def test_a_row_that_comes_between_archive_and_deletion_is_archived(
    kind: str, old: Any, archive: Path, monkeypatch: Any
) -> None:
    archived, events = run_retention.ensure_archived, [LATE[kind]]

    def with_late_row(*arguments: Any) -> None:
        archived(*arguments)
        while events:
            events.pop()(old[0])

    monkeypatch.setattr(run_retention, "ensure_archived", with_late_row)
    assert remove_runs() == 4
    newest = ArchivedRun.objects.get(pk=old[0].pk).file.name
    assert kind in [row["kind"] for row in rows_in(archive, newest)]


def test_a_note_on_a_restored_run_is_archived_before_the_run_is_removed_again(old: Any, archive: Path) -> None:
    remove_runs()
    for name in ArchiveFile.objects.values_list("name", flat=True):
        restore(name)
    run_notes.write(old[0].pk, "the vendor was late")
    KeptRun.objects.all().delete()
    assert remove_runs() == 4
    newest = ArchivedRun.objects.get(pk=old[0].pk).file.name
    assert "the vendor was late" in [row.get("reason") for row in rows_in(archive, newest)]


def test_each_file_is_progress(old: Any, archive: Path) -> None:
    """Many runs, or the lines of a week, may take hours, in which upkeep would be called late."""
    told: list[int] = []
    run_retention.apply(lambda done, _of: told.append(done))
    assert told.count(0) == ArchiveFile.objects.count()
