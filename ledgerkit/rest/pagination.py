"""Keyset pagination: a page starts after a row instead of at an offset, and rows are not counted."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.duration import duration_string
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from ledgerkit.db import bounded_rows
from ledgerkit.db.json_validation import iter_errors
from ledgerkit.rest.query_params import BadQuery

from .parameter_names import PAGING, check_names


class KeysetPagination(BasePagination):
    """`{"next": url or null, "previous": url or null, "results": [...]}`, `page_size` up to 500. A page is shorter if
    its texts and documents exceed EXECUTIONS_MAX_PAGE_BYTES.

    The view's `ordering` names columns or annotations that are never null, the last one unique, all ascending or all
    descending ("-"). Guarantee: following `next` returns every row that existed when the first page was read, still
    exists and kept its place in the order, once and in order, however many are inserted meanwhile. Rows inserted after
    the cursor appear, rows inserted before it do not. A cursor is valid for its ordering only.
    """

    page_size = 50
    max_page_size = 500

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        if not hasattr(view, "orderings"):  # the view has no QueryMixin that checked the names
            check_names(request, [*PAGING, *getattr(getattr(view, "filterset_class", None), "base_filters", {})])
        self.request, self.ordering = request, list(view.ordering)
        cursor, backwards = self._read(queryset, request.query_params.get("cursor"))
        size = self._size(request.query_params.get("page_size"))
        order = [_reverse_name(name) for name in self.ordering] if backwards else self.ordering
        after = queryset if cursor is None else queryset.filter(_beyond(order, cursor))
        rows, is_full = bounded_rows.read(
            _first(bounded_rows.without_large_fields(after, size + 1), order, size + 1),
            bounded_rows.large_fields(after),
        )
        more, rows = is_full or len(rows) > size, rows[:size]
        self.rows = rows[::-1] if backwards else rows
        self.has_next = more if not backwards else cursor is not None
        self.has_previous = more if backwards else cursor is not None
        return self.rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "next": self._link(-1, False) if self.has_next else None,
                "previous": self._link(0, True) if self.has_previous else None,
                "results": data,
            }
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        url = {"type": ["string", "null"], "format": "uri"}
        properties = {"next": url, "previous": url, "results": schema}
        return {"type": "object", "required": list(properties), "properties": properties}

    def _size(self, text: str | None) -> int:
        if text is None:
            return self.page_size
        size = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        if not 1 <= size <= self.max_page_size:
            raise BadQuery("page_size", f"Expected a whole number from 1 to {self.max_page_size}.")
        return size

    def _read(self, queryset: QuerySet[Any], text: str | None) -> tuple[list[Any] | None, bool]:
        if text is None:
            return None, False
        try:
            ordering, *texts, backwards = json.loads(base64.urlsafe_b64decode(text.encode()))
            if ordering != self._name or not isinstance(backwards, bool) or not all(map(_is_text, texts)):
                raise _bad_cursor()
            values = [_value(_field(queryset, name), x) for name, x in zip(self._names, texts, strict=True)]
        except (ValueError, TypeError, OverflowError, binascii.Error, RecursionError, ValidationError):
            raise _bad_cursor() from None
        return values, backwards

    @property
    def _name(self) -> str:
        return ",".join(self.ordering)

    @property
    def _names(self) -> list[str]:
        return [name.removeprefix("-") for name in self.ordering]

    def _link(self, index: int, backwards: bool) -> str | None:
        if not self.rows:
            return None
        values = [getattr(self.rows[index], name) for name in self._names]
        text = json.dumps([self._name, *map(_text, values), backwards])
        asked = {name: values for name, values in self.request.query_params.lists() if name != "cursor"}
        asked["cursor"] = [base64.urlsafe_b64encode(text.encode()).decode()]
        return self.request.build_absolute_uri(f"{self.request.path}?{urlencode(asked, doseq=True)}")


def _first(rows: Any, order: Sequence[str], number: int) -> Any:
    """Return the first rows. A queryset may implement a faster way than sorting all rows."""
    return rows.first_of(order, number) if hasattr(rows, "first_of") else rows.order_by(*order)[:number]


def _field(queryset: QuerySet[Any], name: str) -> Any:
    annotation = queryset.query.annotations.get(name)
    return annotation.output_field if annotation else queryset.model._meta.get_field(name)


def _value(field: Any, text: str) -> Any:
    """Parse a value of the cursor. Raises ValueError for a time without zone, OverflowError for one that UTC cannot
    represent."""
    value = field.to_python(text)
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError(text)
    return value.astimezone(UTC)


def _beyond(order: Sequence[str], cursor: Sequence[Any]) -> Q:
    """Return the condition for rows after `cursor`: for (a, b), `a >= x AND (a > x OR b > y)`, which can use an index
    on (a, b)."""
    name, value = order[0].removeprefix("-"), cursor[0]
    over = "lt" if order[0].startswith("-") else "gt"
    strictly = Q(**{f"{name}__{over}": value})
    if len(order) == 1:
        return strictly
    return Q(**{f"{name}__{over}e": value}) & (strictly | _beyond(order[1:], cursor[1:]))


def _reverse_name(name: str) -> str:
    return name.removeprefix("-") if name.startswith("-") else f"-{name}"


def _text(value: Any) -> str:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return duration_string(value)
        case _:
            return str(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not any(iter_errors(value))


def _bad_cursor() -> BadQuery:
    return BadQuery("cursor", "This is not a cursor of this list. Follow the links `next` and `previous` as they are.")
