"""Counting and deletion of single log lines of a partition, by a rule, in batches that commit one by one. Lines of kept
runs, and of workflows with a longer rule, are left.

While lines are removed no run can be marked as kept: each removal locks the marks, for as long as its statement takes.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from executions.conf import executions_settings
from executions.partitions import Partition
from executions.states import LogLevel
from ledgerkit.db.models import uuid7

from . import log_partitions
from .log_partitions import LogTable
from .log_rules import LogRule, protected_workflows

BATCH = 5_000
FIRST = UUID(int=0)
PROTECTED = """(
    EXISTS (SELECT FROM execution_kept_runs AS kept WHERE kept.workflow_execution_id = line.workflow_execution_id)
    OR EXISTS (
        SELECT FROM workflow_executions AS run
        WHERE run.id = line.workflow_execution_id AND run.workflow_id = ANY(%(workflows)s)
    )
)"""
MATCHES = f"level = ANY(%(levels)s) AND NOT {PROTECTED}"
# Looks each such run up in the index of the partition: OFFSET keeps the planner from reading every line.
HAS_PROTECTED = """
SELECT EXISTS (
    SELECT FROM execution_kept_runs AS kept
    WHERE EXISTS (SELECT FROM {table} WHERE workflow_execution_id = kept.workflow_execution_id OFFSET 0)
) OR EXISTS (
    SELECT FROM workflow_executions AS run WHERE run.workflow_id = ANY(%(workflows)s)
        AND EXISTS (SELECT FROM {table} WHERE workflow_execution_id = run.id OFFSET 0)
)
"""
HAS_MATCHING = f"SELECT EXISTS (SELECT FROM {{table}} AS line WHERE {MATCHES})"  # noqa: S608  # as above
COUNT = f"SELECT count(*) FROM {{table}} AS line WHERE {MATCHES}"  # noqa: S608  # as above
# Lines that came after the archive had read the partition are left to the next upkeep. Ids of transactions that are
# still to come are those of another cluster.
IN_SNAPSHOT = """(
    written_by IS NULL OR pg_visible_in_snapshot(written_by, %(snapshot)s::pg_snapshot)
    OR written_by >= pg_snapshot_xmax(pg_current_snapshot())
)"""
# Looks at the next lines by id. Returns the number of those that matched, and the last line that it looked at.
DELETE = f"""
WITH next AS MATERIALIZED (
    SELECT id, level, workflow_execution_id, written_by FROM {{table}} WHERE id > %(after)s ORDER BY id LIMIT %(most)s
), deleted AS (
    DELETE FROM {{table}} WHERE id IN (SELECT id FROM next AS line WHERE {MATCHES} AND {IN_SNAPSHOT}) RETURNING 1
)
SELECT (SELECT count(*) FROM deleted), (SELECT id FROM next ORDER BY id DESC LIMIT 1)
"""  # noqa: S608  # as above
LOCK_MARKS = "LOCK TABLE execution_kept_runs IN SHARE MODE"
COPY_PROTECTED = """
INSERT INTO execution_logs ({columns}) SELECT {columns} FROM {table} WHERE workflow_execution_id IN (
    SELECT workflow_execution_id FROM execution_kept_runs
    UNION SELECT id FROM workflow_executions WHERE workflow_id = ANY(%(workflows)s)
)
"""
RECORD = """
INSERT INTO execution_log_removals (
    id, start, "end", levels, days, number, is_estimate, size, files, removed_at, first_removed_at
) VALUES (
    %(id)s, %(start)s, %(end)s, %(levels)s::varchar[], %(days)s, %(number)s, %(is_estimate)s, %(size)s, %(files)s,
    clock_timestamp(), clock_timestamp()
)
ON CONFLICT (start, "end", levels) DO UPDATE SET
    number = execution_log_removals.number + excluded.number, days = excluded.days,
    is_estimate = execution_log_removals.is_estimate OR excluded.is_estimate,
    size = execution_log_removals.size + excluded.size, files = execution_log_removals.files || excluded.files,
    removed_at = excluded.removed_at
"""


def has_protected(session: psycopg.Connection, table: LogTable, now: datetime) -> bool:
    """Return whether the partition has lines that stay although the others are over."""
    return bool(_value(session, HAS_PROTECTED, table, {"workflows": protected_workflows(table.partition, now)}))


def count_matching(session: psycopg.Connection, table: LogTable, rule: LogRule, now: datetime) -> int:
    return int(_value(session, COUNT, table, _parameters(table, rule, now)))


def has_matching(session: psycopg.Connection, table: LogTable, rule: LogRule, now: datetime) -> bool:
    return bool(_value(session, HAS_MATCHING, table, _parameters(table, rule, now)))


def delete_matching(
    session: psycopg.Connection, table: LogTable, rule: LogRule, now: datetime, snapshot: str, files: Sequence[str],
    after_batch: Callable[[], object] = lambda: None,
) -> int:  # fmt: skip
    """Delete the lines that were there at the time of the snapshot, each batch with its part of the record. Return
    their number. Raises Busy."""
    parameters, done, files = _parameters(table, rule, now) | {"most": BATCH, "snapshot": snapshot}, 0, [*files]
    after: UUID | None = FIRST
    while after is not None:
        batch = partial(_delete_batch, session, table, rule, parameters | {"after": after}, files)
        number, after = log_partitions.retry_for_locks(batch)
        done, files = done + number, [] if number else files
        after_batch()
        time.sleep(executions_settings.UPKEEP_PAUSE_MS / 1_000)
    return done


def lock_marks(session: psycopg.Connection) -> None:
    """Let no run be marked as kept until the end of the transaction."""
    session.execute(f"SET LOCAL lock_timeout = '{log_partitions.LOCK_TIMEOUT}'")
    session.execute(LOCK_MARKS)


def copy_protected(session: psycopg.Connection, table: LogTable, now: datetime) -> int:
    """Copy the lines that stay from a table that was detached to the log. Return their number."""
    columns = sql.SQL(", ").join(map(sql.Identifier, _columns(session, table)))
    statement = sql.SQL(COPY_PROTECTED).format(columns=columns, table=sql.Identifier(table.name))
    return session.execute(statement, {"workflows": protected_workflows(table.partition, now)}).rowcount


def current_snapshot(session: psycopg.Connection) -> str:
    row = session.execute("SELECT pg_current_snapshot()::text").fetchone()
    return str(row[0]) if row else ""


def _delete_batch(
    session: psycopg.Connection, table: LogTable, rule: LogRule, parameters: dict[str, Any], files: Sequence[str]
) -> tuple[int, UUID | None]:
    with session.transaction():
        lock_marks(session)
        number, last = _row(session, DELETE, table, parameters)
        if number:
            record(session, table.partition, rule, number, files)
    return number, last


def _columns(session: psycopg.Connection, table: LogTable) -> list[str]:
    rows = session.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
        [table.name],
    )
    return [name for (name,) in rows]


def record(
    session: psycopg.Connection, period: Partition, rule: LogRule, number: int, files: Sequence[str], *,
    size: int = 0, is_estimate: bool = False,
) -> None:  # fmt: skip
    """Record that lines of the period were removed, in the transaction that removes them."""
    row = {"start": period.start, "end": period.end, "levels": [str(level) for level in rule.levels], "days": rule.days}
    row |= {"number": number, "is_estimate": is_estimate, "size": size, "files": Jsonb([*files]), "id": uuid7()}
    session.execute(RECORD, row)


def _parameters(table: LogTable, rule: LogRule, now: datetime) -> dict[str, Any]:
    levels = [str(level) for level in rule.levels or LogLevel]
    return {"levels": levels, "workflows": protected_workflows(table.partition, now)}


def _value(session: psycopg.Connection, query: str, table: LogTable, parameters: dict[str, Any]) -> Any:
    return _row(session, query, table, parameters)[0]


def _row(session: psycopg.Connection, query: str, table: LogTable, parameters: dict[str, Any]) -> Any:
    statement = sql.SQL(query).format(table=sql.Identifier(table.name))
    return session.execute(statement, parameters).fetchone()
