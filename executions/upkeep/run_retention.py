"""Deletion of runs whose time is over, in batches that commit one by one, with everything that belongs to them.

A batch is first locked and then deleted: the second statement sees a run that was kept or retried meanwhile. Runs that
somebody else holds are left for the next upkeep.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from executions.archive import ensure_archived
from executions.archive.row_format import LOG, OF_RUN
from executions.audit import Through, act_as
from executions.conf import executions_settings
from executions.models import WorkflowExecution

from .run_rules import RunRule, run_rules
from .task import Progress, Result

ACTOR = "upkeep"
ARCHIVED_AT_ONCE = 50_000  # an archive has a file for each day and call
SLOW, FAST = 1.0, 0.25  # seconds of a batch, after which the next one is smaller or larger
BYTES = """
SELECT coalesce(sum(pg_total_relation_size(oid)), 0), max(reltuples) FILTER (WHERE relname = 'workflow_executions')
FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(%s)
"""
TABLES = [*(kind.table for kind in OF_RUN if kind is not LOG), "error_occurrences"]  # lines are in partitions

type Key = tuple[datetime, UUID]


def plan() -> Result:
    now, total = timezone.now(), Result()
    for rule in run_rules():
        if count := rule.runs(now).count():
            statuses = ", ".join(rule.statuses)
            total.add(Result(count, 0, [f"{count:,} runs ({statuses}) {rule.reason}"]))
    total.size = round(total.rows * _average_bytes()) if total.rows else 0
    return total


def apply(progress: Progress) -> Result:
    now, rules = timezone.now(), run_rules()
    expected = sum(rule.runs(now).count() for rule in rules)
    done, average = 0, _average_bytes()

    def show() -> None:
        progress(done, max(done, expected))

    with act_as(through=Through.IN_PROCESS, name=ACTOR, user=None, reason=""):
        for rule in rules:
            for deleted in _delete_all(rule, now, show):
                done += deleted
                show()
    return Result(done, round(done * average))


def archive_runs(ids: Sequence[UUID], after_file: Callable[[], object] = lambda: None) -> None:
    """Archive these runs, if an archive is configured. Raises ArchiveError: then nothing of the batch is deleted."""
    ensure_archived(ids, after_file)


def _delete_all(rule: RunRule, now: datetime, after_file: Callable[[], object]) -> Iterator[int]:
    """Delete the runs of a rule, the oldest first. Yield how many each batch deleted."""
    after = None
    while keys := _next_keys(rule, now, after):
        ids = [id for _ended, id in keys]
        archive_runs(ids, after_file)
        yield from _delete_in_batches(rule, now, ids)
        after = keys[-1]


def _delete_in_batches(rule: RunRule, now: datetime, ids: list[UUID]) -> Iterator[int]:
    size = most = executions_settings.UPKEEP_BATCH_RUNS
    while ids:
        batch, ids, began = ids[:size], ids[size:], time.monotonic()
        yield _delete(rule, now, batch)
        size = _next_size(size, time.monotonic() - began, most)
        time.sleep(executions_settings.UPKEEP_PAUSE_MS / 1_000)


def _next_keys(rule: RunRule, now: datetime, after: Key | None) -> list[Key]:
    runs = rule.runs(now)
    if after is not None:  # past the runs that were left out, which would be read again and again
        ended, id = after
        runs = runs.filter(Q(ended_at=ended, pk__gt=id) | Q(ended_at__gt=ended), ended_at__gte=ended)
    keys = runs.order_by("ended_at", "pk").values_list("ended_at", "pk")[:ARCHIVED_AT_ONCE]
    return [(ended, id) for ended, id in keys if ended is not None]


@transaction.atomic
def _delete(rule: RunRule, now: datetime, ids: Collection[UUID]) -> int:
    over = rule.runs(now).filter(pk__in=ids)
    locked = list(over.order_by("pk").select_for_update(skip_locked=True).values_list("pk", flat=True))
    archive_runs(locked)  # what has come since
    return rule.runs(now).filter(pk__in=locked).delete_because(rule.reason)


def _next_size(size: int, seconds: float, most: int) -> int:
    """Return the size of the next batch: runs may have one node or thousands."""
    if seconds > SLOW:
        return max(1, size // 2)
    return min(most, size * 2) if seconds < FAST else size


def _average_bytes() -> float:
    """Return the average bytes of a run with its rows, by the planner's number of runs, or a count where it has none:
    before the first ANALYZE."""
    with connection.cursor() as cursor:
        cursor.execute(BYTES, [TABLES])
        size, estimate = cursor.fetchone()
    number = estimate if estimate > 0 else WorkflowExecution.objects.count()
    return float(size) / number if number else 0.0
