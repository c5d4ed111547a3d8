"""Lists whose rows a plain function writes."""

from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response


class RowListMixin(ListModelMixin):
    """View mixin whose list calls the function `row` of its serializer class for the columns of each row, which its
    queryset selects by bounded_rows.columns(). REST framework's own makes a serializer for the whole list and asks each
    field for each row."""

    fields: list[str] | None = None  # of the rows, all unless `?fields=` names some

    def list(self, request: Request, *args: object, **kwargs: object) -> Response:
        row = self.get_serializer_class().row  # type: ignore[attr-defined]  # of the view that this is mixed into
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))  # type: ignore[attr-defined]  # the same
        rows = [row(columns) for columns in page]
        if self.fields is not None:
            rows = [{name: value for name, value in each.items() if name in self.fields} for each in rows]
        return self.get_paginated_response(rows)  # type: ignore[attr-defined,no-any-return]  # the same
