"""Search for a text in a list: several queries are tried, each with a time limit.

A walk reads rows in the list's order. It is fast if many recent rows match. If only few or old rows match, it would
read all rows: the index on the text is faster then, and the rows that it finds are sorted. The planner cannot choose,
because it does not know how frequent a part of a text is."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from itertools import chain
from typing import NamedTuple

from django.db.models import F, Model, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast

from executions import limits
from executions.models import ExecutionLog
from ledgerkit.db.timeouts import StatementTimeout, no_sort, statement_timeout

type Setting = Callable[[], AbstractContextManager[None]]


class Way(NamedTuple):
    """A setting of the planner, and for how long a statement may take with it."""

    setting: Setting
    milliseconds: int = limits.SEARCH_MS


type Ways = Sequence[Way]

# The planner sorts what the index finds where a walk in the list's order would soon have filled a page.
WAYS: Ways = (Way(nullcontext), Way(no_sort))


def is_walked_first(model: type[Model]) -> bool:
    """Return whether find_by_walk_or_ids() finds rows of the model. Of lines with a text the planner expects hardly any
    in each partition; of the errors of nodes it has statistics."""
    return model is ExecutionLog


def find_in_order_or_by_index[R](read: Callable[[], R], by_index: Callable[[], R], ways: Ways) -> R | None:
    """Return what `read()` returns in the list's order, or `by_index()` by the index on the text alone; None if both
    take too long, also with more time: of a text that is neither frequent nor rare, or on a slow machine."""
    return _first_in_time((*((read, way) for way in ways), *_longer(read, by_index)))


def find_by_walk_or_ids[R](walk: Callable[[], R], by_ids: Callable[[], R]) -> R | None:
    """Return what `walk()` reads in the list's order, or `by_ids()` by the indexes of a text; None if neither is in
    time. A frequent text soon fills a page on the walk, and a rare one has few ids."""
    times = (limits.WALK_MS, limits.SHORT_SEARCH_MS), (limits.LONG_SEARCH_MS, limits.LONG_SEARCH_MS)
    turns = [[(walk, Way(no_sort, first)), (by_ids, Way(nullcontext, second))] for first, second in times]
    return _first_in_time((*chain(*turns), (walk, Way(no_sort, limits.LONGER_MS)), *_longer(walk, by_ids)))


def _longer[R](walk: Callable[[], R], by_index: Callable[[], R]) -> tuple[tuple[Callable[[], R], Way], ...]:
    return (by_index, Way(nullcontext, limits.LONGER_MS)), (walk, Way(no_sort, limits.LONG_WALK_MS))


def _first_in_time[R](tries: Iterable[tuple[Callable[[], R], Way]]) -> R | None:
    for read, way in tries:
        if (found := find_in_time(read, way.milliseconds, way.setting)) is not None:
            return found
    return None


def find_in_time[R](read: Callable[[], R], milliseconds: int, setting: Setting = nullcontext) -> R | None:
    """Return what `read()` returns, None if one of its statements takes longer."""
    try:
        with statement_timeout(milliseconds), setting():
            return read()
    except StatementTimeout:
        return None


def without_index(order: Sequence[str]) -> list[Combinable | str]:
    """Return the same order by an expression that no index has."""
    first, *others = order
    name = first.removeprefix("-")
    key = Cast(F(name), TextField()) if name == "id" else F(name) + Value(timedelta(0))
    return [key.desc() if first.startswith("-") else key.asc(), *others]
