"""Questions that may take only so long, whatever else the connection is allowed."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction
from psycopg.errors import QueryCanceled

BEFORE = "SELECT current_setting('statement_timeout'), set_config('statement_timeout', %s, true)"
AGAIN = "SELECT set_config('statement_timeout', %s, true)"
SORT_OFF = "SELECT current_setting('enable_sort'), set_config('enable_sort', 'off', true)"
SORT_BACK = "SELECT set_config('enable_sort', %s, true)"


@contextmanager
def no_limit(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Let each statement within take as long as it takes: for commands that work on the whole ledger."""
    with connections[using].cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        try:
            yield
        finally:
            if not connections[using].needs_rollback:
                cursor.execute("RESET statement_timeout")


class StatementTimeout(Exception):
    """A statement was ended, and nothing is known of what it asked."""


@contextmanager
def statement_timeout(milliseconds: int, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Each statement within takes at most so long. It is a transaction of its own, or a savepoint, so that what comes
    after it can be asked whether or not this could be answered. Raises TookTooLong."""
    try:
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            ((before, _set),) = cursor.execute(BEFORE, [str(milliseconds)])
            yield
            # A savepoint that is released keeps what was set in it.
            cursor.execute(AGAIN, [before])
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise StatementTimeout from error
        raise


@contextmanager
def no_sort(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """What is asked within is read off an index in its order, as far as it is needed. The planner by itself would
    fetch and sort them all where it knows of few, and of rows that are being written it knows last. An error is for
    the outermost transaction: there is no savepoint."""
    with transaction.atomic(using=using, savepoint=False), connections[using].cursor() as cursor:
        ((before, _off),) = cursor.execute(SORT_OFF)
        yield
        cursor.execute(SORT_BACK, [before])
