"""Removal of log lines whose time is over. Whole partitions are dropped; lines of single levels, and those beside
protected lines, are deleted. Each removal is recorded (LogRemoval), so that pages can show it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from psycopg import sql
from psycopg.errors import CheckViolation

from executions import partitions
from executions.archive import ensure_lines_archived
from executions.partitions import Partition

from . import log_line_deletion, log_partitions
from .advisory_lock import connect
from .log_partitions import Busy, LogTable
from .log_rules import LogRule, rule_of
from .task import Progress, Result

COUNTED_BYTES = 256 * 1024 * 1024  # of larger tables the number of lines is that of the planner's statistics
EMPTY = "{name} is in use: it is empty and is dropped by the next upkeep."
IN_USE = "{name} is in use: it is removed by the next upkeep."


def plan() -> Result:
    now, total = timezone.now(), Result()
    with connect() as session:
        for table in log_partitions.attached_partitions(session):
            if rule := rule_of(table.partition, now):
                total.add(_plan_table(session, table, rule, now))
    return total


def apply(progress: Progress) -> Result:
    now, total = timezone.now(), Result()
    with connect() as session:
        total.add(_finish(session, now))
        tables = log_partitions.attached_partitions(session)
        for number, table in enumerate(tables):
            (still := partial(progress, number, len(tables)))()
            if rule := rule_of(table.partition, now):
                total.add(_remove(session, table, rule, now, still))
    partitions.forget()
    return total


def archive_lines(
    partition: Partition, table: str | None = None, after_file: Callable[[], object] = lambda: None
) -> Sequence[str]:
    """Archive the lines of the partition, or of the table that was detached, if an archive is configured. Return the
    names of the files. Raises ArchiveError: then no line is removed."""
    return ensure_lines_archived(partition, table, after_file)


def _plan_table(session: psycopg.Connection, table: LogTable, rule: LogRule, now: datetime) -> Result:
    is_whole = not rule.levels and not log_line_deletion.has_protected(session, table, now)
    number = log_line_deletion.count_matching(session, table, rule, now)
    if not (number or is_whole):
        return Result()
    size = table.size if is_whole else 0
    note = f"{table.name}: {number:,} lines, {rule}"
    return Result(number, size, [f"{note} ({filesizeformat(size)})" if is_whole else note])


def _remove(
    session: psycopg.Connection, table: LogTable, rule: LogRule, now: datetime, progress: Callable[[], object]
) -> Result:
    if not rule.levels and not log_line_deletion.has_protected(session, table, now):
        return _remove_partition(session, table, rule, now, progress)
    if not log_line_deletion.has_matching(session, table, rule, now):
        return Result()
    snapshot = log_line_deletion.current_snapshot(session)
    files = archive_lines(table.partition, after_file=progress)
    try:
        number = log_line_deletion.delete_matching(session, table, rule, now, snapshot, files, progress)
    except Busy:
        return Result(notes=[IN_USE.format(name=table.name)])
    return Result(number, 0, [f"{table.name}: {number:,} lines, {rule}"])


def _remove_partition(
    session: psycopg.Connection, table: LogTable, rule: LogRule, now: datetime, progress: Callable[[], object]
) -> Result:
    start, end = table.partition.start.isoformat(), table.partition.end.isoformat()
    files = [*archive_lines(table.partition, after_file=progress)]
    what = {"start": start, "end": end, "days": rule.days, "files": files}
    log_partitions.mark(session, table.name, what)
    try:
        log_partitions.detach(session, table.name)
    except Busy:
        return Result(notes=[IN_USE.format(name=table.name)])
    return _drop(session, table.name, what, now)


def _finish(session: psycopg.Connection, now: datetime) -> Result:
    """Finish what an interrupted upkeep has begun."""
    total = Result()
    for table in log_partitions.attached_partitions(session):
        if table.is_pending:
            total.add(_finish_detach(session, table.name))
    for name, what in log_partitions.detached_tables(session):
        total.add(_drop(session, name, what, now))
    return total


def _finish_detach(session: psycopg.Connection, name: str) -> Result:
    try:
        log_partitions.detach(session, name)
    except Busy:
        return Result(notes=[IN_USE.format(name=name)])
    return Result()


def _drop(session: psycopg.Connection, name: str, what: dict[str, Any], now: datetime) -> Result:
    """Empty and drop a table that was detached. Its description `what` is {} once it is empty."""
    try:
        removed = _empty(session, name, what, now) if what else Result()
    except Busy:
        return Result(notes=[IN_USE.format(name=name)])
    try:
        log_partitions.drop(session, name)
    except Busy:
        removed.notes.append(EMPTY.format(name=name))
    return removed


def _empty(session: psycopg.Connection, name: str, what: dict[str, Any], now: datetime) -> Result:
    """Remove all lines that a table had when it was detached, and record it. Raises Busy."""
    table = LogTable(name, Partition(*(datetime.fromisoformat(what[each]) for each in ("start", "end"))))
    files = list(dict.fromkeys([*what["files"], *archive_lines(table.partition, name)]))
    number, is_estimate, size = _count(session, name)
    rule = LogRule(what["days"])

    def truncate() -> int:
        with session.transaction():
            removed = number - _keep_protected(session, table, now)
            session.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(name)))
            if removed:
                log_line_deletion.record(
                    session, table.partition, rule, removed, files, size=size, is_estimate=is_estimate
                )
            log_partitions.mark(session, name, {})
        return removed

    try:
        removed = log_partitions.retry_for_locks(truncate)
    except CheckViolation:  # lines that are to stay have no partition
        partitions.make_for(table.partition.days())
        removed = log_partitions.retry_for_locks(truncate)
    return Result(removed, size, [f"{name}: {removed:,} lines, {rule} ({filesizeformat(size)})"])


def _keep_protected(session: psycopg.Connection, table: LogTable, now: datetime) -> int:
    """Copy the lines back to the log of runs that were marked as kept since it was decided to remove the partition.
    Return their number. Until the end of the transaction no other run can be marked."""
    log_line_deletion.lock_marks(session)
    is_protected = log_line_deletion.has_protected(session, table, now)
    return log_line_deletion.copy_protected(session, table, now) if is_protected else 0


def _count(session: psycopg.Connection, name: str) -> tuple[int, bool, int]:
    """Return the number of lines, whether it is an estimate, and the bytes."""
    size, estimate = log_partitions.size_and_estimate(session, name)
    if size > COUNTED_BYTES and estimate >= 0:
        return int(estimate), True, size
    row = session.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone()
    return (row[0] if row else 0), False, size
