"""What a list may be asked for in its address, and how a wrong parameter is refused."""

import re
from typing import Any

from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

NAME = re.compile("[A-Za-z_]{1,40}")  # as names of fields and parameters are


def safe_name(name: str) -> str:
    """Return a name that somebody sent, for a refusal; what is no name of a field may be anything, a secret too."""
    return name if NAME.fullmatch(name) else "…"


class BadQuery(ValidationError):
    """Of a parameter in the address; its place is `?name`. Takes one with its sentence, or several as a dict."""

    def __init__(self, name: str | dict[str, Any], sentence: str = "", code: str = "invalid") -> None:
        super().__init__(name if isinstance(name, dict) else {name: [sentence]}, code)


class ListFilterBackend(DjangoFilterBackend):  # type: ignore[misc]  # untyped
    """django-filter's for lists alone: a verb finds its row by the address's path, whatever stands after it."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        filters = self.get_filterset(request, queryset, view) if view.action == "list" else None
        if filters is None or not filters.base_filters:
            return queryset
        if not filters.is_valid():
            faults = filters.errors.get_json_data().items()
            raise BadQuery({name: [ErrorDetail(f["message"], f["code"]) for f in found] for name, found in faults})
        return filters.qs
