"""Removal of old runs: which ones, and what remains of them."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from executions.audit import act_as
from executions.models import Deletion, ExecutionLog, HistoryEntry, KeptRun, NodeExecution, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.upkeep import run_retention
from executions.upkeep.run_rules import count_removable_runs, run_rules
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

from .old_rows import ENDED, line_of, remove_runs, run_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rules(settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"UPKEEP_PAUSE_MS": 0, "RUN_DAYS": 180, "FAILED_RUN_DAYS": 365}


def left() -> set[WorkflowExecution]:
    return set(WorkflowExecution.objects.all())


def test_runs_are_removed_by_their_age_and_status() -> None:
    old, failed_long_ago, cancelled = run_of(181), run_of(366, "failed"), run_of(181, "cancelled")
    kept = {
        run_of(179), run_of(364, "failed"), run_of(1000, "pending"), run_of(1000, "running"),
    }  # fmt: skip
    assert run_retention.plan().rows == count_removable_runs(100) == 3
    assert count_removable_runs(2) == 2
    assert left() == kept | {old, failed_long_ago, cancelled}
    assert remove_runs() == 3
    assert left() == kept
    assert remove_runs() == 0


def test_the_bytes_of_runs_are_their_part_of_a_ledger_that_was_never_analyzed() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE workflow_executions CASCADE")
        for days in (181, 182, 1, 2):
            run_of(days)
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'workflow_executions'::regclass")
        assert cursor.fetchone() == (-1,)
        sizes = "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) AS name"
        cursor.execute(sizes, [run_retention.TABLES])
        (size,) = cursor.fetchone()
    assert run_retention.plan().size == round(size / 2)


def test_the_bytes_are_those_of_every_table_of_rows_of_runs() -> None:
    assert {"workflow_execution_leases", "node_execution_leases", "execution_notes", "execution_dropped_lines"} <= {
        *run_retention.TABLES
    }
    assert "execution_logs" not in run_retention.TABLES


def test_the_runs_of_a_day_are_over_together() -> None:
    """Upkeep may run each half hour; the archive has one file for a day."""
    runs = run_of(1), run_of(1)
    with connection.cursor() as cursor:
        for run, moment in zip(runs, ("2026-05-01T00:00Z", "2026-05-01T23:59Z"), strict=True):
            cursor.execute(ENDED, [moment, moment, moment, run.pk])
    (rule,) = (each for each in run_rules() if "completed" in each.statuses)
    at = [datetime(2026, 10, 28, 23, 59, tzinfo=UTC), datetime(2026, 10, 29, 0, 0, tzinfo=UTC)]
    assert [rule.runs(now).count() for now in at] == [0, 2]


def test_everything_that_belongs_to_a_run_goes_and_the_record_of_the_deletion_remains() -> None:
    run = in_state(WorkflowExecutionFactory(), "running")
    in_state(NodeExecutionFactory(workflow_execution=run), "completed")
    line_of(1, run)
    run.complete()
    WorkflowExecution.objects.filter(pk=run.pk).update(ended_at=timezone.now() + timedelta(seconds=1))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflow_executions SET started_at = '2020-01-01', ended_at = '2020-01-02'")
    assert remove_runs() == 1
    for model in (WorkflowExecution, NodeExecution, ExecutionLog, HistoryEntry):
        assert not model.objects.exists()
    record = Deletion.objects.get()
    assert (record.username, record.through, record.reason) == ("upkeep", "in_process", "older than 180 days")


def test_none_means_for_ever(settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"RUN_DAYS": None, "FAILED_RUN_DAYS": None}
    run_of(5000), run_of(5000, "failed")
    assert remove_runs() == 0


def test_a_workflow_may_have_rules_of_its_own() -> None:
    short = WorkflowFactory(config={"retention_days": 7, "failed_retention_days": 14})
    forever = WorkflowFactory(config={"retention_days": None})
    gone = [run_of(8, workflow=short), run_of(15, "failed", workflow=short), run_of(366, "failed", workflow=forever)]
    kept = {run_of(6, workflow=short), run_of(13, "failed", workflow=short), run_of(5000, workflow=forever)}
    assert remove_runs() == len(gone)
    assert left() == kept


def test_a_rule_from_before_the_check_that_makes_no_sense_is_ignored() -> None:
    workflow = WorkflowFactory()
    Workflow.objects.filter(pk=workflow.pk).update(config={"retention_days": "7"})
    run_of(8, workflow=workflow)
    assert remove_runs() == 0


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"retention_days": 0}, "config.retention_days: expected a whole number of days from 1 to 36500"),
        ({"failed_retention_days": "30"}, "config.failed_retention_days: expected a whole number of days"),
        ({"log_retention_days": True}, "config.log_retention_days: expected a whole number of days"),
        ({"log_level": "verbose"}, "config.log_level: expected one of debug, info, warning, error."),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(config: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        WorkflowFactory(config=config)


def test_a_kept_run_stays_until_it_is_released(owner: Any) -> None:
    run = run_of(400)
    with act_as(user=owner):
        kept = KeptRun.keep(run, "evidence of the audit")
    assert (kept.username, kept.reason) == ("owner", "evidence of the audit")
    assert remove_runs() == 0
    assert KeptRun.release(run)
    assert not KeptRun.release(run)
    assert remove_runs() == 1


def test_a_kept_run_that_is_deleted_takes_its_mark_along() -> None:
    run = run_of(400)
    KeptRun.keep(run)
    run.delete()
    assert not KeptRun.objects.exists()


def test_secrets_of_the_run_are_masked_in_the_reason() -> None:
    run = WorkflowExecutionFactory(context={"secrets": {"key": "hunter2hunter2"}})
    assert KeptRun.keep(run, "it shows hunter2hunter2").reason == "it shows ***masked***"


def test_a_run_whose_secrets_are_gone_can_be_kept_and_deleted_and_nothing_of_the_reason_is_stored() -> None:
    run = run_of(1)
    WorkflowExecution.objects.filter(pk=run.pk).update(encrypted_secrets="")
    assert KeptRun.keep(run, "hunter2hunter2").reason == "***masked***"
    with act_as(reason="hunter2hunter2"):
        run.delete()
    assert Deletion.objects.get().reason == "***masked***"


def test_nothing_of_a_batch_is_deleted_that_could_not_be_archived(monkeypatch: pytest.MonkeyPatch) -> None:
    run_of(181)

    def fail(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(run_retention, "ensure_archived", fail)
    with pytest.raises(OSError, match="no space"):
        remove_runs()
    assert len(left()) == 1


def test_batches_commit_one_by_one(settings: Any) -> None:
    settings.EXECUTIONS = settings.EXECUTIONS | {"UPKEEP_BATCH_RUNS": 2}
    for _ in range(5):
        run_of(200)
    seen = []
    run_retention.apply(lambda done, expected: seen.append((done, expected, len(left()))))
    assert seen == [(2, 5, 3), (4, 5, 1), (5, 5, 0)]


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_kept_at_the_same_moment_stays() -> None:
    """The deletion does not see the mark of a transaction that is still open, and leaves the run to the next upkeep."""
    run, other = run_of(200), run_of(200)
    kept, deleted = threading.Event(), threading.Event()

    def keep() -> None:
        with transaction.atomic():
            KeptRun.keep(run)
            kept.set()
            deleted.wait(5)
        connection.close()

    thread = threading.Thread(target=keep)
    thread.start()
    kept.wait()
    assert remove_runs() == 1
    deleted.set()
    thread.join()
    assert left() == {run}
    assert remove_runs() == 0
    assert other not in left()
