"""The list of runs. The URL without parameters may redirect to a saved view, so every link has at least one."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import reduce
from urllib.parse import urlencode

from django.db.models import F, Model, Q, QuerySet, Value
from django.http import HttpRequest

from executions import limits
from executions.admin.filter_presets import EVERYTHING, VIEW
from executions.admin.filters.time_filters import FieldsFilter
from executions.admin.pagination import KeysetChangeList
from executions.admin.types import JSON
from ledgerkit.db import keyset
from ledgerkit.db.timeouts import StatementTimeout, statement_timeout

ALL = f"?{urlencode(EVERYTHING)}"
PART, ROWS = "part", "rows"


def part_of(request: HttpRequest) -> str | None:
    """Take `part` out of the request and return it, so that no link of the part requests the part again."""
    if (part := request.GET.get(PART)) is None:
        return None
    query = request.GET.copy()
    del query[PART]
    query.update({} if query else EVERYTHING)  # the URL without parameters may redirect to a saved view
    request.GET = query  # type: ignore[assignment]  # a QueryDict as well
    return part


class RunChangeList(KeysetChangeList):
    def get_filters_params(self, params: JSON | None = None) -> JSON:
        return {name: value for name, value in super().get_filters_params(params).items() if name != VIEW}

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Model]:
        rows = super().get_queryset(request, exclude_parameters)
        self.clear_all_filters_qs = ALL
        return rows

    def _first(self, rows: QuerySet[Model], order: Sequence[str]) -> list[Model]:
        """Return the first rows. A search that many recent runs match follows the list's order. One that only old or
        few runs match would scan all runs in that order: sorted by an expression without an index, the rows come from
        the index on metadata, or from those on the texts of errors, instead."""
        narrowed = [each for spec in self.filter_specs if (each := getattr(spec, "narrowed", None))]
        if not self.query and not narrowed:
            return super()._first(self._bounded(rows, order), order)
        try:
            with statement_timeout(limits.SEARCH_MS):
                return super()._first(rows, order)
        except StatementTimeout:
            time, *others = order
            moment = F(time.removeprefix("-")) + Value(timedelta(0))
            by_moment = rows.order_by(moment.desc() if time.startswith("-") else moment.asc(), *others)
            return super()._first(reduce(QuerySet[Model].filter, (Q(**each) for each in narrowed), by_moment), order)

    def _bounded(self, rows: QuerySet[Model], order: Sequence[str]) -> QuerySet[Model]:
        """Return the same rows. By times or a duration, the ids of the first ones are found in an index that includes
        these (see executions/creation_bounds.py)."""
        parts = next(
            (spec.parts() for spec in self.filter_specs if isinstance(spec, FieldsFilter) and spec.given), None
        )
        if parts is None:
            return rows
        return rows.filter(pk__in=keyset.first_of_parts("created_at", parts, rows, order, self.list_per_page + 1))

    def get_query_string(
        self, new_params: Mapping[str, object] | None = None, remove: Iterable[str] | None = None
    ) -> str:
        found = super().get_query_string(new_params, remove)
        return ALL if found == "?" else found
