"""Errors for query parameters, and the filter backend of lists."""

import re
from typing import Any

from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

NAME = re.compile("[A-Za-z_]{1,40}")  # the pattern of field and parameter names


def safe_name(name: str) -> str:
    """Return a client's parameter name for an error message. Invalid names are masked: the text may be a secret."""
    return name if NAME.fullmatch(name) else "…"


class BadQuery(ValidationError):
    """A validation error of query parameters, with the place `?name`. Takes one name and message, or a dict."""

    def __init__(self, name: str | dict[str, Any], sentence: str = "", code: str = "invalid") -> None:
        super().__init__(name if isinstance(name, dict) else {name: [sentence]}, code)


class ListFilterBackend(DjangoFilterBackend):  # type: ignore[misc]  # untyped
    """Filter lists only. Detail routes look up their row by the path and ignore filters in the query string."""

    def filter_queryset(self, request: Request, queryset: object, view: Any) -> object:
        kind = self.get_filterset_class(view, queryset) if view.action == "list" else None
        if kind is None or not (getattr(kind, "needed", ()) or kind.base_filters.keys() & request.query_params.keys()):
            return queryset
        filters = self.get_filterset(request, queryset, view)
        if not filters.is_valid():
            faults = filters.errors.get_json_data().items()
            raise BadQuery({name: [ErrorDetail(f["message"], f["code"]) for f in found] for name, found in faults})
        return filters.qs
