"""Keyset pagination of the admin lists: a page starts after the last row of the previous one, without a COUNT."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Model, QuerySet
from django.db.models.expressions import Combinable
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst

from executions.admin.types import Runs
from ledgerkit.admin.lists import StrictChangeList
from ledgerkit.db import keyset
from ledgerkit.db.keyset import Key
from ledgerkit.db.models import Column
from ledgerkit.types import StrOrPromise

if TYPE_CHECKING:
    from .base import ReadOnlyAdmin

OLDER, NEWER = "older", "newer"  # parameters; the value is the key of a row, see _format_key()
EXPORT = "export"  # parameter: the kind of the file that has all rows
FIND = "find_workflow"  # parameter: searches among the workflows of a filter
SEPARATOR = "~"


@dataclass(frozen=True, slots=True)
class ListRow:
    """A row of a list. `cells` is the presenter that the model admin made of it, `link` the URL of its page, and
    `checkbox` empty in a list without actions."""

    cells: object
    link: str
    checkbox: str


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a column. `address` is the URL of the list sorted by it, `sort` how it is sorted now."""

    name: str
    title: str
    address: str = ""
    sort: str = ""


class KeysetChangeList(StrictChangeList):
    """Change list ordered by the model admin's `keyset`: a time and the id, or the id alone (UUIDv7 sorts by time)."""

    model_admin: "ReadOnlyAdmin"  # django-stubs types it as any ModelAdmin

    @property
    def annotations(self) -> Mapping[str, Column]:
        """Return the fields of the annotations that an order has."""
        return {}

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Model]:
        for name in (OLDER, NEWER):  # links to another filter start at its newest row
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, exclude_parameters)

    def get_query_string(
        self, new_params: Mapping[str, object] | None = None, remove: Iterable[str] | None = None
    ) -> str:
        """Omit the search among the workflows from links."""
        return super().get_query_string(new_params, [FIND, *(remove or ())])

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Model]) -> list[str | Combinable]:
        return [*self.order]

    @property
    def order(self) -> Sequence[str]:
        """Return the columns to sort by: newest first."""
        return keyset.reverse(self.model_admin.keyset)

    def get_results(self, request: HttpRequest) -> None:
        self.older_link, self.newer_link = "", ""
        if NEWER in request.GET:
            self.result_list = self._newer_than(request.GET[NEWER])
        else:
            self.result_list = self._older_than(request.GET.get(OLDER))
        self.rows = self._present(request)
        self.estimate = self._estimate() if self.older_link or self.newer_link else None
        # Attributes that Django's templates read.
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count, self.show_admin_actions = False, bool(self.result_list)
        self.can_show_all, self.multi_page = False, False
        self.paginator: object = None

    def _present(self, request: HttpRequest) -> list[ListRow]:
        page = f"{self.model_admin.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change"
        # Django's preserved filters: the page of a row leads back to this list.
        query = f"?{self.preserved_filters}" if self.preserved_filters else ""
        has_checkboxes = "action_checkbox" in self.list_display
        cells = self.model_admin.present_rows(request, self.result_list)
        return [
            ListRow(
                each,
                reverse(page, args=[row.pk]) + query,
                self.model_admin.action_checkbox(row) if has_checkboxes else "",
            )
            for row, each in zip(self.result_list, cells, strict=True)
        ]

    @cached_property
    def labels(self) -> dict[str, str]:
        """Return the columns' titles in the language of the request."""
        return {name: capfirst(str(title)) for name, title in self.headers.items()}

    @property
    def headers(self) -> Mapping[str, StrOrPromise]:
        """Return the columns that are shown."""
        return self.model_admin.headers

    @property
    def headings(self) -> list[Heading]:
        return [Heading(name, title) for name, title in self.labels.items()]

    @property
    def export_links(self) -> list[tuple[str, str]]:
        """Return the links to files of all rows, by their kind."""
        kinds = {"CSV": "csv", "JSON Lines": "ndjson"} if self.model_admin.exported else {}
        return [(kind, self.get_query_string({EXPORT: value})) for kind, value in kinds.items()]

    @cached_property
    def row_template(self) -> str:
        return f"admin/{self.opts.app_label}/{self.opts.model_name}/_row.html"

    def _estimate(self) -> int | None:
        """Return the planner's estimate of the number of rows, to two digits. None if a filter selects runs
        (RunFieldFilter): this condition is added in _first() and is missing from the plan. None too if it selects a
        group of errors, of whose rows the planner expects few."""
        if any(getattr(spec, name, None) is not None for spec in self.filter_specs for name in ("runs", "group")):
            return None
        (plan,) = json.loads(self.queryset.order_by().explain(format="json"))
        number = int(plan["Plan"]["Plan Rows"])
        return round(number, 2 - len(str(number)))

    def _older_than(self, place: str | None) -> list[Model]:
        rows = self.queryset
        if place is not None:
            rows = rows.filter(keyset.after(self.order, self._parse_key(place)))
        found = self._first(rows, self.order)
        shown = found[: self.list_per_page]
        if place is not None and shown:
            self.newer_link = self.get_query_string({NEWER: self._format_key(shown[0])})
        if len(found) > self.list_per_page:
            self.older_link = self.get_query_string({OLDER: self._format_key(shown[-1])})
        return shown

    def _newer_than(self, place: str) -> list[Model]:
        rows = self.queryset.filter(keyset.before(self.order, self._parse_key(place)))
        backwards = keyset.reverse(self.order)
        found = self._first(rows.order_by(*backwards), backwards)
        if len(found) <= self.list_per_page:
            return self._older_than(None)
        shown = found[: self.list_per_page][::-1]
        self.newer_link = self.get_query_string({NEWER: self._format_key(shown[0])})
        self.older_link = self.get_query_string({OLDER: self._format_key(shown[-1])})
        return shown

    def _first(self, rows: QuerySet[Model], order: Sequence[str]) -> list[Model]:
        """Return the rows of a page, and one more to see whether a next page exists."""
        count = self.list_per_page + 1
        selected: list[Runs] = [runs for spec in self.filter_specs if (runs := getattr(spec, "runs", None)) is not None]
        if selected:
            runs = reduce(lambda some, others: some.filter(pk__in=others.values("pk")), selected)
            rows = rows.filter(pk__in=self._first_of(runs, rows, order, count))
        return list(rows[:count])

    def _first_of(self, runs: Runs, rows: QuerySet[Model], order: Sequence[str], count: int) -> list[UUID]:
        """Return the ids of the first rows of all `runs`, in the order of `rows`."""
        firsts = keyset.first_of_each(runs, rows, "workflow_execution", order, count)
        # Sorted here: given ORDER BY ... LIMIT, PostgreSQL may scan the whole table in the list's order.
        names = [name.removeprefix("-") for name in order]
        keys = rows.filter(pk__in=firsts).order_by().values_list(*names)
        return [key[-1] for key in sorted(keys, reverse=order[0].startswith("-"))[:count]]

    def _format_key(self, row: Model) -> str:
        return SEPARATOR.join(keyset.encode(keyset.key_of(self.order, row)))

    def _parse_key(self, place: str) -> Key:
        """Parse a key. Raises IncorrectLookupParameters, also for a time outside PostgreSQL's range."""
        try:
            return keyset.decode(self.queryset, self.order, place.split(SEPARATOR), self.annotations)
        except ValueError:
            raise IncorrectLookupParameters from None
