"""Keyset pagination: a page starts after a row instead of at an offset, and rows are not counted."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from ledgerkit.db import bounded_rows, keyset
from ledgerkit.db.bounded_rows import RowsOf
from ledgerkit.db.json_validation import iter_errors
from ledgerkit.db.models import Column
from ledgerkit.db.plain_rows import Table
from ledgerkit.page_sizes import MAX_PAGE_SIZE, PAGE_SIZE
from ledgerkit.rest.filters import names_of_several
from ledgerkit.rest.query_params import BadQuery

from .parameter_names import PAGING, check_names


class KeysetPagination(BasePagination):
    """`{"next": url or null, "previous": url or null, "results": [...]}`, `page_size` up to 500. A page is shorter if
    its texts and documents exceed LEDGERKIT["MAX_PAGE_BYTES"].

    The view's `ordering` names columns or annotations that are never null, the last one unique, all ascending or all
    descending ("-"); `order_annotations` has the fields of the annotations by name. Guarantee: following `next` returns
    every row that existed when the first page was read, still exists and kept its place in the order, once and in
    order, however many are inserted meanwhile. Rows inserted after the cursor appear, rows inserted before it do not. A
    cursor is valid for its ordering only.
    """

    page_size = PAGE_SIZE
    max_page_size = MAX_PAGE_SIZE

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Table:  # type: ignore[override]  # for RowListMixin alone
        """Return the rows of a bounded_rows.columns() query."""
        if not hasattr(view, "orderings"):  # the view has no QueryMixin that checked the names
            filterset = getattr(view, "filterset_class", None)
            names = getattr(filterset, "base_filters", {})
            check_names(request, [*PAGING, *names], names_of_several(filterset))
        self.request, self.ordering, self.name = request, list(view.ordering), ",".join(view.ordering)
        text = request.query_params.get("cursor")
        cursor, backwards = (
            (None, False) if text is None else self._read(queryset, text, getattr(view, "order_annotations", {}))
        )
        size = self._size(request.query_params.get("page_size"))
        order = keyset.reverse(self.ordering) if backwards else self.ordering
        after = queryset if cursor is None else _after(queryset, order, cursor)
        found, is_full = self.read_first(after, order, size + 1)
        more, rows = is_full or len(found.rows) > size, found.rows[:size]
        page = Table(found.names, rows[::-1] if backwards else rows)
        self.ends = Table(page.names, page.rows[:1] + page.rows[-1:])  # not all: the view becomes garbage
        self.has_next = more if not backwards else cursor is not None
        self.has_previous = more if backwards else cursor is not None
        return page

    def read_first(self, rows: Any, order: keyset.Order, number: int) -> tuple[Table, bool]:
        """Return the first rows in that order, and whether they are fewer because they are large."""
        has_own = hasattr(rows, "first_of")  # a faster way than sorting all rows
        return bounded_rows.read(rows.first_of(order, number) if has_own else rows.order_by(*order)[:number])

    def get_paginated_response(self, data: object) -> Response:
        return Response(
            {
                "next": self._link(-1, False) if self.has_next else None,
                "previous": self._link(0, True) if self.has_previous else None,
                "results": data,
            }
        )

    def get_paginated_response_schema(self, schema: dict[str, object]) -> dict[str, object]:
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

    def _read(self, queryset: QuerySet[Model], text: str, annotations: Mapping[str, Column]) -> tuple[keyset.Key, bool]:
        try:
            ordering, *texts, backwards = json.loads(base64.urlsafe_b64decode(text.encode()))
            if ordering != self.name or not isinstance(backwards, bool) or not all(map(_is_text, texts)):
                raise _bad_cursor()
            return keyset.decode(queryset, self.ordering, texts, annotations), backwards
        except (ValueError, TypeError, binascii.Error, RecursionError):
            raise _bad_cursor() from None

    def _link(self, index: int, backwards: bool) -> str | None:
        if not self.ends.rows:
            return None
        row = dict(zip(self.ends.names, self.ends.rows[index], strict=True))
        key = keyset.encode(row[name.removeprefix("-")] for name in self.ordering)
        text = json.dumps([self.name, *key, backwards])
        parameters = {name: values for name, values in self.request.query_params.lists() if name != "cursor"}
        parameters["cursor"] = [base64.urlsafe_b64encode(text.encode()).decode()]
        return self.request.build_absolute_uri(f"{self.request.path}?{urlencode(parameters, doseq=True)}")


def _after(rows: Any, order: keyset.Order, key: keyset.Key) -> Any:
    return rows.after(key) if isinstance(rows, RowsOf) else rows.filter(keyset.after(order, key))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not any(iter_errors(value))


def _bad_cursor() -> BadQuery:
    return BadQuery("cursor", "This is not a cursor of this list. Follow the links `next` and `previous` as they are.")
