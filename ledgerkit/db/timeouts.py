"""Statement timeouts and planner settings for a block of queries."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from psycopg.errors import QueryCanceled

from .read_database import read_alias, read_transaction

# With a limit of time nothing is compiled: on a large table the plan alone of a list, by which its rows are estimated,
# took 7 ms instead of 1.
BEFORE = """SELECT current_setting('statement_timeout'), current_setting('jit'),
    set_config('statement_timeout', %s, true), set_config('jit', 'off', true)"""
AGAIN = "SELECT set_config('statement_timeout', %s, true), set_config('jit', %s, true)"
# Without sorting, a plan seems so costly that PostgreSQL would compile it, which takes longer than the query.
SORT_OFF = """SELECT current_setting('enable_sort'), current_setting('jit'),
    set_config('enable_sort', 'off', true), set_config('jit', 'off', true)"""
SORT_BACK = "SELECT set_config('enable_sort', %s, true), set_config('jit', %s, true)"


@contextmanager
def no_limit(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Disable the statement timeout within the block, for commands that process the whole ledger."""
    with connections[using].cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        try:
            yield
        finally:
            if not connections[using].needs_rollback:
                cursor.execute("RESET statement_timeout")


class StatementTimeout(Exception):
    """A statement was cancelled by its timeout; its result is unknown."""


@contextmanager
def statement_timeout(milliseconds: int) -> Iterator[None]:
    """Limit each statement in the block that reads the ledger. The block is a transaction or a savepoint, so that
    queries after it still work. Raises StatementTimeout."""
    is_nested = connections[read_alias()].in_atomic_block
    try:
        with read_transaction() as connection, connection.cursor() as cursor:
            ((before, jit, *_set),) = cursor.execute(BEFORE, [str(milliseconds)])
            yield
            # The end of the transaction resets SET LOCAL, that of a savepoint does not.
            if is_nested:
                cursor.execute(AGAIN, [before, jit])
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise StatementTimeout from error
        raise


@contextmanager
def no_sort() -> Iterator[None]:
    """Disable sorting within the block, so that an index returns the rows in order and only as many as needed. The
    planner prefers to sort when it expects few rows, and its statistics lag behind new rows. There is no savepoint: an
    error breaks the outer transaction."""
    with read_transaction(savepoint=False) as connection, connection.cursor() as cursor:
        ((sort, jit, *_off),) = cursor.execute(SORT_OFF)
        yield
        cursor.execute(SORT_BACK, [sort, jit])
