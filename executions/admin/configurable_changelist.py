"""Changelist whose order and columns stand in the address, beside a saved view.

The address without parameters may redirect to a default view, so every link has at least one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from executions.admin.filters.order_and_columns import ColumnsFilter, OrderFilter
from executions.admin.filters.presets import EVERYTHING, VIEW
from executions.admin.pagination import Heading
from executions.admin.search_changelist import SearchedChangeList
from executions.admin.types import JSON
from ledgerkit.db.models import Column
from ledgerkit.types import StrOrPromise

ALL = f"?{urlencode(EVERYTHING)}"


class ConfigurableChangeList(SearchedChangeList):
    """`FIXED` are the columns that are always shown."""

    FIXED: ClassVar[tuple[str, ...]]

    @property
    def annotations(self) -> Mapping[str, Column]:
        return self._order.ANNOTATIONS

    @property
    def order(self) -> Sequence[str]:
        return self.chosen_order or super().order

    @property
    def chosen_order(self) -> Sequence[str] | None:
        return next((spec.order for spec in self.filter_specs if isinstance(spec, OrderFilter)), None)

    @property
    def headers(self) -> Mapping[str, StrOrPromise]:
        """Return the columns that are always shown and those of the address, in the order of the cells of a row, or the
        usual ones."""
        chosen = next((spec for spec in self.filter_specs if isinstance(spec, ColumnsFilter)), None)
        usual = super().headers
        if chosen is None or not chosen.values:
            return usual
        fixed = {name: usual[name] for name in self.FIXED}
        return fixed | {name: title for name, title in chosen.offered if name in chosen.values}

    @property
    def headings(self) -> list[Heading]:
        now = self.filter_params.get(OrderFilter.parameter_name, [""])[-1]
        return [self._heading(name, title, str(now)) for name, title in self.labels.items()]

    def _heading(self, name: str, title: str, now: str) -> Heading:
        """Return the heading with a link that sorts by it, the longest or last first, or turns the order."""
        if name not in self._order.KEYS:
            return Heading(name, title)
        usual = self._order.usual
        if name == usual:
            now = now or f"-{usual}"
        following = name if now == f"-{name}" else f"-{name}"
        parameter = str(OrderFilter.parameter_name)
        address = self.get_query_string({} if following == f"-{usual}" else {parameter: following}, [parameter])
        sort = {name: "ascending", f"-{name}": "descending"}.get(now, "")
        return Heading(name, title, address, sort)

    @property
    def _order(self) -> type[OrderFilter]:
        return next(each for each in self.list_filter if isinstance(each, type) and issubclass(each, OrderFilter))

    def get_filters_params(self, params: JSON | None = None) -> JSON:
        return {name: value for name, value in super().get_filters_params(params).items() if name != VIEW}

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Model]:
        rows = super().get_queryset(request, exclude_parameters)
        self.clear_all_filters_qs = ALL
        return rows

    def get_query_string(
        self, new_params: Mapping[str, object] | None = None, remove: Iterable[str] | None = None
    ) -> str:
        found = super().get_query_string(new_params, remove)
        return ALL if found == "?" else found
