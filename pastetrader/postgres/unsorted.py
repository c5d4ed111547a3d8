"""Questions for the first or the last of many rows that stand in an index in the order that is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections, transaction

BEFORE = "SELECT current_setting('enable_sort'), set_config('enable_sort', 'off', true)"
AGAIN = "SELECT set_config('enable_sort', %s, true)"


@contextmanager
def unsorted(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """What is asked within is read off an index in its order, as far as it is needed. The planner by itself would
    fetch and sort them all where it knows of few, and of rows that are being written it knows last. An error is for
    the outermost transaction: there is no savepoint."""
    with transaction.atomic(using=using, savepoint=False), connections[using].cursor() as cursor:
        ((before, _off),) = cursor.execute(BEFORE)
        yield
        cursor.execute(AGAIN, [before])
