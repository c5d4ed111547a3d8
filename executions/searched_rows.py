"""The first rows of a list that is searched for a text: of several ways to find them, the one that is in time.

A search that many recent rows match is done soon in the list's order. One that only old or few rows match would read
all rows in that order: sorted by an expression without an index, they come from the index on what is searched. The
planner knows little of how frequent a part of a text is, so it cannot choose."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta

from django.db.models import F, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast

from executions import limits
from ledgerkit.db.timeouts import StatementTimeout, no_sort, statement_timeout

type Way = Callable[[], AbstractContextManager[None]]
type Ways = Sequence[Way]

# The planner sorts what the index finds where a walk in the list's order would soon have filled a page.
WAYS: Ways = (nullcontext, no_sort)


def find_in_order[R](read: Callable[[], R], ways: Ways = WAYS) -> R | None:
    """Return what `read()` returns in the list's order, None if it takes too long in each of the ways."""
    for way in ways:
        if (found := find_in_time(read, limits.SEARCH_MS, way)) is not None:
            return found
    return None


def find_in_time[R](read: Callable[[], R], milliseconds: int, way: Way = nullcontext) -> R | None:
    """Return what `read()` returns, None if one of its statements takes longer."""
    try:
        with statement_timeout(milliseconds), way():
            return read()
    except StatementTimeout:
        return None


def without_index(order: Sequence[str]) -> list[Combinable | str]:
    """Return the same order by an expression that no index has."""
    first, *others = order
    name = first.removeprefix("-")
    key = Cast(F(name), TextField()) if name == "id" else F(name) + Value(timedelta(0))
    return [key.desc() if first.startswith("-") else key.asc(), *others]
