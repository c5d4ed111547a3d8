"""Keyset pagination: a page starts after a row, never after a number of rows, and nothing is counted."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import FieldError, ValidationError
from django.db.models import Q, QuerySet
from rest_framework.exceptions import ParseError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.storable import faults


class KeysetPagination(BasePagination):
    """`{"next": url or null, "previous": url or null, "results": [...]}`, `page_size` up to 500.

    The view's `ordering` names fields, the last one unique, all ascending or all descending ("-"). The promise of a
    cursor: following `next` shows every row that was there when the first page was read and still is, once, in order,
    however many are inserted meanwhile; rows inserted behind the cursor appear, rows inserted before it do not.
    """

    page_size = 50
    max_page_size = 500

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.request, self.ordering = request, list(view.ordering)
        cursor, backwards = self._read(request.query_params.get("cursor"))
        size = self._size(request.query_params.get("page_size"))
        order = [_reversed(name) for name in self.ordering] if backwards else self.ordering
        rows = list(self._after(queryset, order, cursor).order_by(*order)[: size + 1])
        more, rows = len(rows) > size, rows[:size]
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
            raise ParseError(f"page_size: expected a whole number from 1 to {self.max_page_size}.")
        return size

    def _after(self, queryset: QuerySet[Any], order: Sequence[str], cursor: list[Any] | None) -> QuerySet[Any]:
        if cursor is None:
            return queryset
        try:
            return queryset.filter(_beyond(order, cursor))
        except (ValidationError, FieldError, ValueError, TypeError):
            raise _bad_cursor() from None

    def _read(self, text: str | None) -> tuple[list[Any] | None, bool]:
        if not text:
            return None, False
        try:
            values = json.loads(base64.urlsafe_b64decode(text.encode()))
            *cursor, backwards = values
        except (ValueError, TypeError, binascii.Error, RecursionError):
            raise _bad_cursor() from None
        if len(cursor) != len(self.ordering) or not isinstance(backwards, bool) or not all(map(_is_text, cursor)):
            raise _bad_cursor()
        return cursor, backwards

    def _link(self, index: int, backwards: bool) -> str | None:
        if not self.rows:
            return None
        row = self.rows[index]
        values = [getattr(row, name.removeprefix("-")) for name in self.ordering]
        text = json.dumps([*map(_text, values), backwards])
        params = self.request.query_params.dict() | {"cursor": base64.urlsafe_b64encode(text.encode()).decode()}
        return self.request.build_absolute_uri(f"{self.request.path}?{urlencode(params)}")


def _beyond(order: Sequence[str], cursor: Sequence[Any]) -> Q:
    """The rows after `cursor`: for (a, b), `a >= x AND (a > x OR b > y)`, which an index on (a, b) answers."""
    name, value = order[0].removeprefix("-"), cursor[0]
    over = "lt" if order[0].startswith("-") else "gt"
    strictly = Q(**{f"{name}__{over}": value})
    if len(order) == 1:
        return strictly
    return Q(**{f"{name}__{over}e": value}) & (strictly | _beyond(order[1:], cursor[1:]))


def _reversed(name: str) -> str:
    return name.removeprefix("-") if name.startswith("-") else f"-{name}"


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not any(faults(value))


def _bad_cursor() -> ParseError:
    return ParseError("cursor: this is not a cursor of this list. Follow the links `next` and `previous` as they are.")
