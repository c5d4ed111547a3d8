"""All tasks of upkeep in their order, one upkeep at a time, with a record of what each did."""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from django.db import connection
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from executions.models import UpkeepRun

from . import (
    analyze,
    bulk_actions,
    error_groups,
    expired_rows,
    future_partitions,
    log_retention,
    overdue_attempts,
    rollups,
    run_retention,
)
from .advisory_lock import upkeep_lock
from .interruption import was_interrupted
from .task import Progress, Result, Task

TASKS = [
    Task("overdue", _("attempts ended that were over time"), overdue_attempts.plan, overdue_attempts.apply),
    Task(
        "pending",
        _("runs cancelled that nobody had started"),
        overdue_attempts.plan_pending,
        overdue_attempts.expire_pending,
    ),
    Task("bulk_actions", _("runs of bulk actions"), bulk_actions.plan, bulk_actions.apply),
    Task("partitions_ahead", _("log partitions made ahead"), future_partitions.plan, future_partitions.apply),
    Task("log_retention", _("log lines removed"), log_retention.plan, log_retention.apply),
    Task("run_retention", _("runs removed"), run_retention.plan, run_retention.apply),
    Task("error_groups", _("failures sorted into groups"), error_groups.plan, error_groups.apply),
    Task("rollups", _("hours closed for the figures of ended runs"), rollups.plan, rollups.apply),
    Task("secrets", _("runs whose secrets were deleted"), expired_rows.plan_secrets, expired_rows.purge_secrets),
    Task("idempotency_keys", _("idempotency keys forgotten"), expired_rows.plan_keys, expired_rows.delete_keys),
    Task("last_writes", _("last writes forgotten"), expired_rows.plan_last_writes, expired_rows.delete_last_writes),
    Task("records", _("records of upkeep deleted"), expired_rows.plan_records, expired_rows.delete_records),
    Task(
        "deletion_records", _("records of deleted runs forgotten"), expired_rows.plan_deletion_records,
        expired_rows.delete_deletion_records,
    ),
    Task("bulk_action_records", _("bulk actions removed"), bulk_actions.plan_removal, bulk_actions.remove),
    Task("analyze", _("partitioned tables analyzed"), analyze.plan, analyze.apply),
]  # fmt: skip
TITLES = {task.name: task.title for task in TASKS}
STORED_EVERY = 10.0  # seconds, at most, while a task makes progress

logger = logging.getLogger(__name__)


def register(*tasks: Task) -> None:
    """Add tasks of another app."""
    TASKS.extend(task for task in tasks if task.name not in TITLES)
    TITLES.update({task.name: task.title for task in tasks})


@dataclass
class Outcome:
    """The outcome of one task. `error` is empty if it did not fail."""

    task: Task
    result: Result
    seconds: float
    error: str = ""

    def as_json(self) -> dict[str, object]:
        return {
            "task": self.task.name, "rows": self.result.rows, "bytes": self.result.size, "notes": self.result.notes,
            "seconds": round(self.seconds, 3), "error": self.error,
        }  # fmt: skip


class AnotherUpkeep(Exception):
    """Another upkeep is running; `record` is its record, None if it has not written one yet."""

    def __init__(self, record: UpkeepRun | None) -> None:
        super().__init__()
        self.record = record


def plan_all() -> Iterator[Outcome]:
    """Yield what each task would do. Nothing is changed."""
    for task in TASKS:
        yield _attempt(task, task.plan)


def run_all(progress: Callable[[Task], Progress] = lambda _task: _no_progress) -> Iterator[Outcome]:
    """Run the tasks, each although an earlier one failed. Raises AnotherUpkeep."""
    with _keep_record() as record:
        for task in TASKS:
            yield (outcome := _attempt(task, partial(task.apply, _store_progress(record, progress(task)))))
            record.results, record.progressed_at = [*record.results, outcome.as_json()], Now()
            record.save(update_fields=["results", "progressed_at"])
        UpkeepRun.objects.filter(pk=record.pk).update(ended_at=Now())


@contextmanager
def _keep_record() -> Iterator[UpkeepRun]:
    with upkeep_lock() as is_ours:
        unfinished = UpkeepRun.objects.unfinished()
        if not is_ours:
            raise AnotherUpkeep(unfinished.first())
        unfinished.update(is_interrupted=True)
        yield UpkeepRun.objects.create(host=socket.gethostname())


def _attempt(task: Task, call: Callable[[], Result]) -> Outcome:
    began = time.monotonic()
    try:
        result, error = call(), ""
    except Exception as failure:  # whatever it is, it is recorded and the other tasks run
        if was_interrupted(failure):
            raise KeyboardInterrupt from failure
        logger.exception("The task %s of upkeep failed.", task.name)
        result, error = Result(), f"{type(failure).__name__}: {failure}".strip()
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
    return Outcome(task, result, time.monotonic() - began, error)


def _store_progress(record: UpkeepRun, progress: Progress) -> Progress:
    """Return a function that shows the progress and stores its time in the record: a long task is none that hangs."""
    stored_at = time.monotonic()

    def show(done: int, expected: int) -> None:
        nonlocal stored_at
        progress(done, expected)
        if time.monotonic() - stored_at >= STORED_EVERY:
            UpkeepRun.objects.filter(pk=record.pk).update(progressed_at=Now())
            stored_at = time.monotonic()

    return show


def _no_progress(done: int, expected: int) -> None:
    """Show nothing."""
