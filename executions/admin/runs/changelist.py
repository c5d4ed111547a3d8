"""The list of runs. The URL without parameters may redirect to a saved view, so every link has at least one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from executions.admin.filter_presets import EVERYTHING, VIEW
from executions.admin.filters.time_filters import FieldsFilter
from executions.admin.filters.view_filters import ColumnsFilter, OrderFilter
from executions.admin.pagination import Heading
from executions.admin.searched_lists import SearchedChangeList
from executions.admin.types import JSON
from ledgerkit.db import keyset
from ledgerkit.types import StrOrPromise

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


class RunChangeList(SearchedChangeList):
    def get_filters_params(self, params: JSON | None = None) -> JSON:
        return {name: value for name, value in super().get_filters_params(params).items() if name != VIEW}

    annotations = OrderFilter.ANNOTATIONS
    SORTED = ("started", "duration", "created")  # columns that an index sorts

    @property
    def order(self) -> Sequence[str]:
        return self.chosen_order or super().order

    @property
    def chosen_order(self) -> Sequence[str] | None:
        return next((spec.order for spec in self.filter_specs if isinstance(spec, OrderFilter)), None)

    @property
    def headers(self) -> Mapping[str, StrOrPromise]:
        """Return the status and the columns of the address, or the usual ones."""
        chosen = next((spec.values for spec in self.filter_specs if isinstance(spec, ColumnsFilter)), [])
        usual = super().headers
        named = dict(ColumnsFilter.offered)
        return {"state": usual["state"], **{name: named[name] for name in chosen}} if chosen else usual

    @property
    def headings(self) -> list[Heading]:
        now = self.filter_params.get(OrderFilter.parameter_name, [""])[-1]
        return [self._heading(name, title, str(now)) for name, title in self.labels.items()]

    def _heading(self, name: str, title: str, now: str) -> Heading:
        """Return the heading with a link that sorts by it, the longest or last first, or turns the order."""
        if name not in self.SORTED:
            return Heading(name, title)
        if name == "created":
            now = now or "-created"
        following = name if now == f"-{name}" else f"-{name}"
        is_usual = following == "-created"
        parameter = str(OrderFilter.parameter_name)
        address = self.get_query_string({} if is_usual else {parameter: following}, [parameter])
        sort = {name: "ascending", f"-{name}": "descending"}.get(now, "")
        return Heading(name, title, address, sort)

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Model]:
        rows = super().get_queryset(request, exclude_parameters)
        self.clear_all_filters_qs = ALL
        return rows

    @property
    def ways(self) -> Sequence[Callable[[], AbstractContextManager[None]]]:
        return super().ways or ((nullcontext,) if self.query else ())

    def _first(self, rows: QuerySet[Model], order: Sequence[str]) -> list[Model]:
        return super()._first(rows if self.ways else self._limit_walk(rows, order), order)

    def _limit_walk(self, rows: QuerySet[Model], order: Sequence[str]) -> QuerySet[Model]:
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
