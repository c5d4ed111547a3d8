"""Changelist of a list that is searched for a text."""

from collections.abc import Sequence
from functools import partial, reduce

from django.db.models import Model, Q, QuerySet

from executions.admin.filters.text_filters import SearchedTextFilter
from executions.admin.pagination import KeysetChangeList
from executions.text_search import (
    WAYS,
    Ways,
    find_by_walk_or_ids,
    find_in_order_or_by_index,
    is_walked_first,
    without_index,
)


class SearchedChangeList(KeysetChangeList):
    @property
    def ways(self) -> Ways:
        """Return the ways to try before the search by the index alone."""
        is_text = any(isinstance(spec, SearchedTextFilter) and spec.value() for spec in self.filter_specs)
        return WAYS if is_text else ()

    def _first(self, rows: QuerySet[Model], order: Sequence[str]) -> list[Model]:
        read = partial(super()._first, rows, order)
        if not self.ways:
            return read()
        by_ids = partial(super()._first, self.narrow(rows).order_by(*without_index(order)), order)
        if self._text_conditions or is_walked_first(self.model):
            found = find_by_walk_or_ids(read, by_ids)
        else:
            found = find_in_order_or_by_index(read, by_ids, self.ways)
        return by_ids() if found is None else found

    def narrow(self, rows: QuerySet[Model]) -> QuerySet[Model]:
        """Return the same rows, found by the indexes on the texts that are searched for."""
        return reduce(QuerySet[Model].filter, self._text_conditions, rows)

    @property
    def _text_conditions(self) -> list[Q]:
        return [Q(**each) for spec in self.filter_specs if (each := getattr(spec, "narrowed", None))]
