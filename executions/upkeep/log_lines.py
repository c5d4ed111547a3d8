"""Single log lines of a partition: those that a rule matches are counted, or deleted in batches that commit one by one.
Lines of kept runs, and of workflows with a longer rule, are left."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from executions.conf import executions_settings
from executions.states import LogLevel
from ledgerkit.db.models import uuid7

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
# Looks at the next lines by id. Returns the number of those that matched, and the last line that it looked at.
DELETE = f"""
WITH next AS MATERIALIZED (
    SELECT id, level, workflow_execution_id FROM {{table}} WHERE id > %(after)s ORDER BY id LIMIT %(most)s
), deleted AS (
    DELETE FROM {{table}} WHERE id IN (SELECT id FROM next AS line WHERE {MATCHES}) RETURNING 1
)
SELECT (SELECT count(*) FROM deleted), (SELECT id FROM next ORDER BY id DESC LIMIT 1)
"""  # noqa: S608  # as above
RECORD = """
INSERT INTO execution_log_removals (id, start, "end", levels, days, number, is_estimate, size, files)
VALUES (
    %(id)s, %(start)s, %(end)s, %(levels)s::varchar[], %(days)s, %(number)s, %(is_estimate)s, %(size)s, %(files)s
)
ON CONFLICT (start, "end", levels) DO UPDATE SET
    number = execution_log_removals.number + excluded.number, days = excluded.days,
    is_estimate = execution_log_removals.is_estimate OR excluded.is_estimate,
    size = execution_log_removals.size + excluded.size, files = execution_log_removals.files || excluded.files,
    removed_at = now()
"""


def has_protected(session: psycopg.Connection, table: LogTable, now: datetime) -> bool:
    """Return whether the partition has lines that stay although the others are over."""
    return bool(_value(session, HAS_PROTECTED, table, {"workflows": protected_workflows(table.partition, now)}))


def count_matching(session: psycopg.Connection, table: LogTable, rule: LogRule, now: datetime) -> int:
    return int(_value(session, COUNT, table, _parameters(table, rule, now)))


def has_matching(session: psycopg.Connection, table: LogTable, rule: LogRule, now: datetime) -> bool:
    return bool(_value(session, HAS_MATCHING, table, _parameters(table, rule, now)))


def delete_matching(
    session: psycopg.Connection, table: LogTable, rule: LogRule, files: Sequence[str], now: datetime
) -> int:
    """Delete the lines, each batch with its part of the record. Return their number."""
    parameters, done, files = _parameters(table, rule, now) | {"most": BATCH, "after": FIRST}, 0, [*files]
    while parameters["after"] is not None:
        with session.transaction():
            number, parameters["after"] = _row(session, DELETE, table, parameters)
            if number:
                record(session, table.partition, rule, number, files=files)
                done, files = done + number, []
        time.sleep(executions_settings.UPKEEP_PAUSE_MS / 1_000)
    return done


def record(
    session: psycopg.Connection, period: Any, rule: LogRule, number: int, *, files: Sequence[str],
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
