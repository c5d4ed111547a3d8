"""Lists whose rows a plain function writes."""

from collections.abc import Sequence
from itertools import starmap

from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from ledgerkit.db.plain_rows import Table


class RowListMixin(ListModelMixin):
    """View mixin whose list calls the function `row` of its serializer class for the columns of each row, which its
    queryset selects by bounded_rows.columns(). REST framework's own makes a serializer for the whole list and asks each
    field for each row.

    If a row of the list is nothing but its columns, `listed` of the serializer class may be a struct with their names:
    one is made of each row, at a tenth of the price of two dicts."""

    fields: list[str] | None = None  # of the rows, all unless `?fields=` names some

    def list(self, request: Request, *args: object, **kwargs: object) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))  # type: ignore[attr-defined]  # of the view that this is mixed into
        return self.get_paginated_response(self._rows(page))  # type: ignore[attr-defined,no-any-return]  # the same

    def _rows(self, page: Table) -> Sequence[object]:
        serializer = self.get_serializer_class()  # type: ignore[attr-defined]  # the same
        listed = getattr(serializer, "listed", None)
        if listed and self.fields is None and listed.__struct_fields__ == page.names:
            return [*starmap(listed, page.rows)]
        rows = [serializer.row(columns) for columns in page.columns()]
        if self.fields is None:
            return rows
        return [{name: value for name, value in row.items() if name in self.fields} for row in rows]
