"""Rows with a time of their own that is over: answers to idempotency keys, last writes of callers, secrets of runs,
records of upkeep."""

from executions.models import UpkeepRun
from executions.secrets import retention
from ledgerkit.models import IdempotencyKey, LastWrite

from .task import Progress, Result

PURGED_AT_ONCE = 1_000  # runs


def plan_keys() -> Result:
    return Result(rows=IdempotencyKey.objects.expired().count())


def delete_keys(_progress: Progress) -> Result:
    return Result(rows=IdempotencyKey.objects.expired().delete()[0])


def plan_last_writes() -> Result:
    return Result(rows=LastWrite.objects.expired().count())


def delete_last_writes(_progress: Progress) -> Result:
    return Result(rows=LastWrite.objects.expired().delete()[0])


def plan_secrets() -> Result:
    return Result(rows=retention.runs_with_expired_secrets().count())


def purge_secrets(progress: Progress) -> Result:
    done = 0
    while purged := retention.purge(limit=PURGED_AT_ONCE):
        done += purged
        progress(done, done)
    return Result(rows=done)


def plan_records() -> Result:
    return Result(rows=UpkeepRun.objects.expired().count())


def delete_records(_progress: Progress) -> Result:
    return Result(rows=UpkeepRun.objects.expired().delete()[0])
