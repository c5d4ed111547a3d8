"""Which parameters of an address a list takes: those of its filters, each with a value that the filter knows."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, IGNORED_PARAMS, PAGE_VAR, SEARCH_VAR
from django.http import HttpRequest

from executions.admin.pagination import FIND, NEWER, OLDER

from .presets import VIEW

OTHERS = {*IGNORED_PARAMS, SEARCH_VAR, PAGE_VAR, ERROR_FLAG, OLDER, NEWER, FIND, VIEW}  # than filters


def invalid_parameters(model_admin: Any, request: HttpRequest, given: Mapping[str, str]) -> list[str]:
    """The names of those in `given` that the list does not take, each tried by itself. No row is looked at."""
    filters = {name: each for each in model_admin.list_filter for name in each.parameters()}
    return [
        name
        for name, value in given.items()
        if name not in OTHERS
        and (name not in filters or not _accepts(filters[name], model_admin, request, name, value))
    ]


def describe(model_admin: Any, names: Iterable[str]) -> list[str]:
    """As the list calls its filters; one that it does not have, by its parameter."""
    titles = {name: str(each.title) for each in model_admin.list_filter for name in each.parameters()}
    return [titles.get(name, name) for name in names]


def _accepts(list_filter: Any, model_admin: Any, request: HttpRequest, name: str, value: str) -> bool:
    try:
        list_filter(request, {name: [value]}, model_admin.model, model_admin).queryset(
            request, model_admin.model.objects.none()
        )
    except IncorrectLookupParameters:
        return False
    return True
