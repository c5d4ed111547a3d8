"""Lists that are searched for a text: of several ways to find the first rows, the one that is in time."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import reduce

from django.db.models import F, Model, Q, QuerySet, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast

from executions import limits
from executions.admin.filters.text_filters import SearchedTextFilter
from executions.admin.pagination import KeysetChangeList
from ledgerkit.db.timeouts import StatementTimeout, no_sort, statement_timeout


class SearchedChangeList(KeysetChangeList):
    @property
    def ways(self) -> Sequence[Callable[[], AbstractContextManager[None]]]:
        """Return the ways to try before the search by the index alone. The planner knows little of how frequent a part
        of a text is: it sorts what the index finds where a walk in the list's order would soon have filled a page."""
        is_text = any(isinstance(spec, SearchedTextFilter) and spec.value() for spec in self.filter_specs)
        return (nullcontext, no_sort) if is_text else ()

    def _first(self, rows: QuerySet[Model], order: Sequence[str]) -> list[Model]:
        """Return the first rows. A search that many recent rows match follows the list's order. One that only old or
        few rows match would scan all rows in that order: sorted by an expression without an index, they come from the
        index on what is searched, instead."""
        for way in self.ways:
            try:
                with statement_timeout(limits.SEARCH_MS), way():
                    return super()._first(rows, order)
            except StatementTimeout:
                continue
        if not self.ways:
            return super()._first(rows, order)
        narrowed = [each for spec in self.filter_specs if (each := getattr(spec, "narrowed", None))]
        found = reduce(QuerySet[Model].filter, (Q(**each) for each in narrowed), rows)
        return super()._first(found.order_by(*self._without_index(order)), order)

    def _without_index(self, order: Sequence[str]) -> list[Combinable | str]:
        first, *others = order
        name = first.removeprefix("-")
        key = Cast(F(name), TextField()) if name == "id" else F(name) + Value(timedelta(0))
        return [key.desc() if first.startswith("-") else key.asc(), *others]
