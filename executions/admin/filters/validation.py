"""Validation of a list's query parameters: each must belong to a filter, with a value that the filter accepts."""

from collections.abc import Collection, Iterable, Mapping
from typing import cast

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, IGNORED_PARAMS, PAGE_VAR, SEARCH_VAR
from django.http import HttpRequest

from executions.admin.pagination import FIND, NEWER, OLDER
from ledgerkit.admin.lists import ConstantFilter, ModelAdmin

OTHERS = {
    *IGNORED_PARAMS,
    SEARCH_VAR,
    PAGE_VAR,
    ERROR_FLAG,
    OLDER,
    NEWER,
    FIND,
}  # parameters of each list that are no filters


def invalid_parameters(
    model_admin: ModelAdmin, request: HttpRequest, given: Mapping[str, str], others: Collection[str] = ()
) -> list[str]:
    """Return the names of the parameters that the list rejects, each tried on its own against an empty queryset.
    `others` are those of this list that are no filters."""
    filters = {name: each for each in _filters(model_admin) for name in each.parameters()}
    return [
        name
        for name, value in given.items()
        if name not in {*OTHERS, *others}
        and (name not in filters or not _accepts(filters[name], model_admin, request, name, value))
    ]


def describe(model_admin: ModelAdmin, names: Iterable[str]) -> list[str]:
    """Return the titles of the filters with these parameters; an unknown parameter keeps its name."""
    titles = {name: str(each.title) for each in _filters(model_admin) for name in each.parameters()}
    return [titles.get(name, name) for name in names]


def refusals(model_admin: ModelAdmin, names: Iterable[str]) -> list[str]:
    """Return the sentences of the filters with these parameters about the values that they accept."""
    rejected = set(names)
    return [str(each.refusal) for each in _filters(model_admin) if each.refusal and rejected & {*each.parameters()}]


def _filters(model_admin: ModelAdmin) -> Iterable[type[ConstantFilter]]:
    return cast("Iterable[type[ConstantFilter]]", model_admin.list_filter)  # those of StrictAdmin are no others


def _accepts(
    list_filter: type[ConstantFilter], model_admin: ModelAdmin, request: HttpRequest, name: str, value: str
) -> bool:
    try:
        list_filter(request, {name: [value]}, model_admin.model, model_admin).queryset(
            request, model_admin.model._default_manager.none()
        )
    except IncorrectLookupParameters:
        return False
    return True
