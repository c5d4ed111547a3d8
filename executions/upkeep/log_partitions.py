"""The partitions of the log in the database's catalogue, and their removal without blocking writers.

A partition is detached with DETACH CONCURRENTLY, emptied with TRUNCATE, which gives its space back, and dropped. To
drop it, and at the end of DETACH, PostgreSQL locks the tables that its foreign keys refer to. While it waits for these
locks every other statement waits behind it, so each try gives up after LOCK_TIMEOUT. What a try, or a killed process,
has left undone is continued by the next one: a comment on the table says what it is.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from executions.partitions import TABLE, Partition

LOCK_TIMEOUT = "50ms"
PATIENCE = 60.0  # seconds of tries, before it is left to the next upkeep
PAUSE = 0.2  # seconds between tries, on average
MARK = "upkeep removes this table: "
REFERRED = "workflow_executions, node_executions"  # in the order in which every verb locks them

PARTITIONS = """
SELECT relname, pg_get_expr(relpartbound, pg_class.oid), inhdetachpending, pg_total_relation_size(pg_class.oid)
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = to_regclass(%s)
"""
DETACHED = """
SELECT relname, obj_description(oid, 'pg_class') FROM pg_class
WHERE relkind = 'r' AND NOT relispartition AND relnamespace = current_schema()::regnamespace
    AND relname LIKE %s AND starts_with(obj_description(oid, 'pg_class'), %s)
"""

SIZE = "SELECT pg_total_relation_size(oid), reltuples FROM pg_class WHERE oid = to_regclass(%s)"


class Busy(Exception):
    """The locks could not be had in time."""


@dataclass(frozen=True)
class LogTable:
    """The table of a partition, and its bytes."""

    name: str
    partition: Partition
    is_pending: bool = False  # its DETACH was interrupted
    size: int = 0


def attached_partitions(session: psycopg.Connection) -> list[LogTable]:
    """Return the tables of the log's partitions, the oldest first."""
    rows = session.execute(PARTITIONS, [TABLE]).fetchall()
    tables = [LogTable(name, Partition.parse(bounds), *others) for name, bounds, *others in rows]
    return sorted(tables, key=lambda table: table.partition)


def detached_tables(session: psycopg.Connection) -> Iterator[tuple[str, dict[str, object]]]:
    """Return the names of tables that were detached and are not dropped yet, and what their comment says."""
    for name, comment in session.execute(DETACHED, [f"{TABLE}_%", MARK]).fetchall():
        yield name, json.loads(comment.removeprefix(MARK))


def size_and_estimate(session: psycopg.Connection, name: str) -> tuple[int, float]:
    """Return the size of a table in bytes, and the planner's estimate of its rows, negative if unknown."""
    row = session.execute(SIZE, [name]).fetchone()
    return row or (0, -1)


def mark(session: psycopg.Connection, name: str, what: dict[str, object]) -> None:
    """Mark the table in its comment as one to be removed, and for what."""
    comment = sql.Literal(MARK + json.dumps(what))
    session.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(name), comment))


def detach(session: psycopg.Connection, name: str) -> None:
    """Detach the partition, or finish an interrupted DETACH. Raises Busy."""
    retry_for_locks(lambda: _detach(session, name))


def drop(session: psycopg.Connection, name: str) -> None:
    """Drop an empty table that was detached. Raises Busy."""
    retry_for_locks(lambda: _drop(session, name))


def _detach(session: psycopg.Connection, name: str) -> None:
    pending = {table.name: table.is_pending for table in attached_partitions(session)}
    if name not in pending:
        return
    if any(pending[other] for other in pending if other != name):  # PostgreSQL detaches one at a time
        raise Busy
    statement = sql.SQL("ALTER TABLE {} DETACH PARTITION {} {}")
    how = sql.SQL("FINALIZE" if pending[name] else "CONCURRENTLY")
    session.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
    try:
        session.execute(statement.format(sql.Identifier(TABLE), sql.Identifier(name), how))
    finally:
        session.execute("RESET lock_timeout")


def _drop(session: psycopg.Connection, name: str) -> None:
    with session.transaction():
        session.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        session.execute(f"LOCK TABLE {REFERRED} IN ACCESS EXCLUSIVE MODE")
        session.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))


def retry_for_locks[T](call: Callable[[], T]) -> T:
    """Call until it gets its locks. Raises Busy when the patience is over."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except (LockNotAvailable, DeadlockDetected) as error:
            if time.monotonic() > until:
                raise Busy from error
            time.sleep(random.uniform(0, 2 * PAUSE))  # noqa: S311  # not for cryptography
