"""Removal of old log lines: whole partitions, single levels, and what stays."""

import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from executions import absent_log_lines, partitions
from executions.facts import record
from executions.models import ExecutionLog, KeptRun, LogRemoval
from executions.partitions import Partition
from executions.tests.factories import WorkflowExecutionFactory
from executions.upkeep import log_line_deletion, log_partitions, log_retention
from executions.upkeep.advisory_lock import connect
from executions.upkeep.log_partitions import Busy
from workflows.tests.factories import NodeFactory, WorkflowFactory

from .log_removal import lines, remove_lines
from .old_rows import days_ago, id_at, line_of, run_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("short_rules")]


def old_tables() -> list[str]:
    with connect() as session:
        attached = log_partitions.attached_partitions(session)
        return [each.name for each in attached if each.partition.end < timezone.now()]


def test_a_partition_whose_whole_period_is_over_is_dropped_and_recorded() -> None:
    run = run_of(50)
    line_of(45, run, message="old")
    line_of(28, run, message="young")
    before = log_retention.plan()
    assert (before.rows, lines()) == (1, {"old", "young"})
    assert remove_lines() == 1
    assert lines() == {"young"}
    assert Partition.at(days_ago(45)).name not in old_tables()
    removal = LogRemoval.objects.get()
    period = Partition.at(days_ago(45))
    assert (removal.start, removal.end, removal.levels) == (period.start, period.end, [])
    assert (removal.number, removal.is_estimate, removal.days) == (1, False, 30)
    assert removal.size > 0
    assert remove_lines() == 0


def test_none_means_for_ever(settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"LOG_DAYS": None}
    line_of(5000, run_of(5000))
    assert remove_lines() == log_retention.plan().rows == 0


def test_debug_and_info_may_live_shorter(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"DETAIL_LOG_DAYS": 7}
    monkeypatch.setattr(log_line_deletion, "BATCH", 2)
    run = run_of(20)
    for level in ("debug", "info", "warning", "error"):
        line_of(16, run, level=level, message=level)
        line_of(1, run, level=level, message=f"new {level}")
    assert log_retention.plan().rows == 2
    assert remove_lines() == 2
    assert lines() == {"warning", "error", "new debug", "new info", "new warning", "new error"}
    removal = LogRemoval.objects.get()
    assert (removal.levels, removal.number, removal.days) == (["debug", "info"], 2, 7)
    assert remove_lines() == 0
    line_of(16, run, level="info", message="late")
    assert remove_lines() == 1
    assert LogRemoval.objects.get().number == 3


def test_each_batch_of_lines_is_progress(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition may have so many lines that nobody would see for hours that upkeep is at work."""
    settings.EXECUTIONS = settings.EXECUTIONS | {"DETAIL_LOG_DAYS": 7}
    monkeypatch.setattr(log_line_deletion, "BATCH", 1)
    without: list[int] = []
    log_retention.apply(lambda done, _of: without.append(done))
    run = run_of(20)
    for number in range(4):
        line_of(16, run, level="info", message=str(number))
    told: list[int] = []
    log_retention.apply(lambda done, _of: told.append(done))
    assert len(told) - len(without) >= 4


def test_each_day_that_is_archived_is_progress(settings: Any, tmp_path: Path) -> None:
    line_of(45, run_of(45))
    (tmp_path / "archive").mkdir()
    settings.EXECUTIONS = settings.EXECUTIONS | {"ARCHIVE": str(tmp_path / "archive")}
    told: list[int] = []
    log_retention.apply(lambda done, _of: told.append(done))
    assert max(Counter(told).values()) == 1 + 7  # of the partition of a week that was removed


def test_lines_of_a_kept_run_and_of_a_workflow_with_a_longer_rule_stay() -> None:
    kept, other = run_of(45), run_of(45)
    longer = run_of(45, workflow=WorkflowFactory(config={"log_retention_days": 90}))
    too_old = run_of(45, workflow=WorkflowFactory(config={"log_retention_days": 31}))
    for name, run in {"kept": kept, "other": other, "longer": longer, "too old": too_old}.items():
        line_of(45, run, message=name)
    KeptRun.keep(kept)
    assert log_retention.plan().rows == 2
    assert remove_lines() == 2
    assert lines() == {"kept", "longer"}
    assert [bool(absent_log_lines.removed_lines(run)) for run in (kept, other, longer, too_old)] == [
        False, True, False, True,
    ]  # fmt: skip
    KeptRun.release(kept)
    assert remove_lines() == 1
    assert LogRemoval.objects.get().number == 3


def test_only_a_run_of_the_removed_period_says_that_lines_are_gone() -> None:
    run, later = run_of(45), run_of(10)
    line_of(45, run)
    remove_lines()
    (removed,) = absent_log_lines.removed_lines(run)
    assert (removed.before, removed.days, removed.levels, removed.archived) == (
        Partition.at(days_ago(45)).end, 30, [], [],
    )  # fmt: skip
    assert absent_log_lines.removed_lines(later) == []
    assert absent_log_lines.removed_lines(WorkflowExecutionFactory()) == []


def test_the_files_of_the_archive_are_named_and_without_one_nothing_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(45)
    line_of(45, run)

    def fail(*_: Any, **_more: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(log_retention, "archive_lines", fail)
    with pytest.raises(OSError, match="no space"):
        remove_lines()
    assert ExecutionLog.objects.count() == 1
    named: Any = lambda _period, table=None, **_more: ["late" if table else "week"]  # noqa: E731  # shorter
    monkeypatch.setattr(log_retention, "archive_lines", named)
    remove_lines()
    assert absent_log_lines.removed_lines(run)[0].archived == ["week", "late"]


class TestInterrupted:
    """A process that was killed leaves a partition in one of these states."""

    @pytest.fixture
    def table(self) -> str:
        line_of(45, run_of(45))
        return Partition.at(days_ago(45)).name

    def what(self) -> dict[str, Any]:
        period = Partition.at(days_ago(45))
        return {"start": period.start.isoformat(), "end": period.end.isoformat(), "days": 30, "files": []}

    def test_marked_and_still_attached(self, table: str) -> None:
        with connect() as session:
            log_partitions.mark(session, table, self.what())
        assert remove_lines() == 1

    def test_between_the_two_transactions_of_detach(self, table: str) -> None:
        """A reader in a transaction of its own lets DETACH CONCURRENTLY stop halfway."""
        with connect() as session, connect() as reader, reader.transaction():
            reader.execute("SELECT count(*) FROM execution_logs")
            log_partitions.mark(session, table, self.what())
            log_partitions.PATIENCE, patience = 0.0, log_partitions.PATIENCE
            try:
                with pytest.raises(Busy):
                    log_partitions.detach(session, table)
            finally:
                log_partitions.PATIENCE = patience
            attached = log_partitions.attached_partitions(session)
            assert [each.is_pending for each in attached if each.name == table] == [True]
        assert remove_lines() == 1
        assert LogRemoval.objects.get().number == 1

    def test_detached_and_not_yet_empty(self, table: str) -> None:
        with connect() as session:
            log_partitions.mark(session, table, self.what())
            log_partitions.detach(session, table)
        assert remove_lines() == 1
        assert LogRemoval.objects.get().number == 1

    def test_empty_and_not_yet_dropped(self, table: str) -> None:
        with connect() as session:
            log_partitions.mark(session, table, self.what())
            log_partitions.detach(session, table)
            log_retention._empty(session, table, self.what(), timezone.now())
            line_of(45, run_of(45), message="late")  # finds no partition, and makes one of another name
            assert f"{table}_2" in old_tables()
        assert remove_lines() == 1
        with connect() as session:
            assert [*log_partitions.detached_tables(session)] == []
        assert LogRemoval.objects.get().number == 2

    def test_a_table_that_somebody_else_has_detached_is_left(self, table: str) -> None:
        with connect() as session:
            session.execute(f"ALTER TABLE execution_logs DETACH PARTITION {table}")
            assert remove_lines() == 0
            assert session.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)
            session.execute(f"DROP TABLE {table}")


def test_a_process_that_remembers_the_dropped_partition_makes_it_again_for_late_lines() -> None:
    run = run_of(45)
    line_of(45, run)
    known = set(partitions._known["default"])
    assert remove_lines() == 1
    partitions._known["default"] = known
    late = {"id": str(id_at(days_ago(45))), "at": days_ago(45).isoformat(), "level": "info", "message": "late"}
    outcome = record([{"kind": "log", "workflow_execution": str(run.pk), **late}])
    assert (outcome.applied, lines()) == (1, {"late"})


def test_a_partition_in_use_is_left_to_the_next_upkeep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_partitions, "PATIENCE", 0.1)
    line_of(45, run_of(45))
    with connect() as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM execution_logs")
        result = log_retention.apply(lambda *_: None)
        assert (result.rows, "in use" in result.notes[0]) == (0, True)
    assert remove_lines() == 1


def test_writers_lose_nothing_while_partitions_are_removed() -> None:
    """`make bench-upkeep` prints how long they wait."""
    for days in (40, 47, 54, 61):
        line_of(days, run_of(days))
    runs = [WorkflowExecutionFactory() for _ in range(4)]
    stop, written = threading.Event(), [0] * 4

    def write(number: int) -> None:
        while not stop.is_set():
            moment = timezone.now() - timedelta(days=number)
            ExecutionLog(id=id_at(moment), workflow_execution=runs[number], level="info", message=str(number)).save()
            runs[number].add_node(nodes[number])
            written[number] += 1
        connection.close()

    nodes = [NodeFactory(workflow=run.workflow) for run in runs]
    threads = [threading.Thread(target=write, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        removed = remove_lines()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert removed == 4
    assert [run.logs.count() for run in runs] == written
    assert min(written) > 0
