"""The lock that lets one upkeep run at a time, whatever machine it is on. It ends with its connection, and so with a
process that is killed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from executions import unpooled_connection

NAME = "executions.upkeep"
TRY = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
FREE = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"


@contextmanager
def upkeep_lock() -> Iterator[bool]:
    """Hold the lock within the block. Yield False if another upkeep holds it."""
    with connect() as session:
        row = session.execute(TRY, [NAME]).fetchone()
        is_held = bool(row and row[0])
        yield is_held
        # A lock of a session that ends is seen for some time yet. One that is lost has none.
        if is_held:
            with suppress(psycopg.OperationalError):
                session.execute(FREE, [NAME])


@contextmanager
def connect() -> Iterator[psycopg.Connection]:
    """Open a connection of its own, in autocommit, without a time limit of statements."""
    with psycopg.connect(**unpooled_connection.parameters(), autocommit=True) as session:
        session.execute("SET statement_timeout = 0")
        yield session
