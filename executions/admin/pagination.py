"""Keyset pagination of the admin lists: a page starts after the last row of the previous one, without a COUNT."""

import json
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Func, OuterRef, Q
from django.http import HttpRequest

from ledgerkit.admin.lists import StrictChangeList
from ledgerkit.db import json_validation

OLDER, NEWER = "older", "newer"  # parameters; the value is the key of a row, see _format_key()
FIND = "find_workflow"  # parameter: searches among the workflows of a filter
SEPARATOR = "~"


class KeysetChangeList(StrictChangeList):
    """Change list ordered by the model admin's `keyset`: a time and the id, or the id alone (UUIDv7 sorts by time)."""

    PARSERS: ClassVar[dict[str, Any]] = {
        "id": UUID,
        "created_at": json_validation.parse_utc_datetime,
        "timestamp": json_validation.parse_utc_datetime,
        "happened_at": json_validation.parse_utc_datetime,
    }

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Any:
        for name in (OLDER, NEWER):  # links to another filter start at its newest row
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, exclude_parameters)

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        """Omit the search among the workflows from links."""
        return super().get_query_string(new_params, [FIND, *(remove or ())])

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
        return [f"-{name}" for name in self.keyset]

    @property
    def keyset(self) -> tuple[str, ...]:
        # django-stubs types this as a plain ModelAdmin, without a keyset.
        return self.model_admin.keyset  # type: ignore[attr-defined,no-any-return]  # see above

    def get_results(self, request: HttpRequest) -> None:
        self.older_link, self.newer_link = "", ""
        if NEWER in request.GET:
            self.result_list = self._newer_than(request.GET[NEWER])
        else:
            self.result_list = self._older_than(request.GET.get(OLDER))
        self.model_admin.annotate_rows(request, self.result_list)  # type: ignore[attr-defined]  # defined by ReadOnlyAdmin
        self.estimate = self._estimate() if self.older_link or self.newer_link else None
        # Attributes that Django's templates read.
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count, self.show_admin_actions = False, bool(self.result_list)
        self.can_show_all, self.multi_page = False, False
        self.paginator: Any = None

    def _estimate(self) -> int | None:
        """Return the planner's estimate of the number of rows, to two digits. None if a filter selects runs
        (RunFieldFilter): this condition is added in _first() and is missing from the plan."""
        if any(getattr(spec, "runs", None) is not None for spec in self.filter_specs):
            return None
        (plan,) = json.loads(self.queryset.order_by().explain(format="json"))
        number = int(plan["Plan"]["Plan Rows"])
        return round(number, 2 - len(str(number)))

    def _older_than(self, place: str | None) -> list[Any]:
        rows = self.queryset if place is None else self.queryset.filter(self._beyond(place, "lt"))
        found = self._first(rows)
        shown = found[: self.list_per_page]
        if place is not None and shown:
            self.newer_link = self.get_query_string({NEWER: self._format_key(shown[0])})
        if len(found) > self.list_per_page:
            self.older_link = self.get_query_string({OLDER: self._format_key(shown[-1])})
        return shown

    def _newer_than(self, place: str) -> list[Any]:
        rows = self.queryset.filter(self._beyond(place, "gt")).order_by(*self.keyset)
        found = self._first(rows)
        if len(found) <= self.list_per_page:
            return self._older_than(None)
        shown = found[: self.list_per_page][::-1]
        self.newer_link = self.get_query_string({NEWER: self._format_key(shown[0])})
        self.older_link = self.get_query_string({OLDER: self._format_key(shown[-1])})
        return shown

    def _first(self, rows: Any) -> list[Any]:
        """Return the rows of a page, and one more to see whether a next page exists."""
        count = self.list_per_page + 1
        for spec in self.filter_specs:
            if (runs := getattr(spec, "runs", None)) is not None:
                rows = rows.filter(pk__in=self._first_of(runs, rows, count))
        return list(rows[:count])

    def _first_of(self, runs: Any, rows: Any, count: int) -> list[UUID]:
        """Return the ids of the first rows of all `runs`, picked from the first rows of each run, which its own index
        returns in order. Given one ORDER BY ... LIMIT, PostgreSQL may scan the whole table in the list's order."""
        each = ArraySubquery(rows.filter(workflow_execution=OuterRef("pk")).values("pk")[:count])
        found = rows.model.objects.filter(pk__in=runs.values(row=Func(each, function="unnest"))).order_by()
        places = sorted(found.values_list(*self.keyset), reverse=rows.query.order_by[0].startswith("-"))
        return [place[-1] for place in places[:count]]

    def _format_key(self, row: Any) -> str:
        values = [getattr(row, name) for name in self.keyset]
        return SEPARATOR.join(value.isoformat() if isinstance(value, datetime) else str(value) for value in values)

    def _beyond(self, place: str, direction: str) -> Q:
        """Match rows beyond a key. Bounds the first column, so that its index is used; the second breaks ties."""
        first, *second = self._parse_key(place)
        if not second:
            return Q((f"{self.keyset[0]}__{direction}", first))
        same_or_before = {"lt": "gte", "gt": "lte"}[direction]
        passed = Q((self.keyset[0], first), (f"{self.keyset[1]}__{same_or_before}", second[0]))
        return Q((f"{self.keyset[0]}__{direction}e", first)) & ~passed

    def _parse_key(self, place: str) -> list[Any]:
        """Parse a key. Raises IncorrectLookupParameters, also for a time outside PostgreSQL's range."""
        try:
            return [self.PARSERS[name](text) for name, text in zip(self.keyset, place.split(SEPARATOR), strict=True)]
        except ValueError:
            raise IncorrectLookupParameters from None
