"""Validation of a list's query parameters: each must belong to a filter, with a value that the filter accepts."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, IGNORED_PARAMS, PAGE_VAR, SEARCH_VAR
from django.http import HttpRequest
from django.utils.translation import gettext

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


@dataclass(frozen=True)
class Refusal:
    """Parameters that the list rejects. Without `is_known` it has no such filter."""

    names: tuple[str, ...]
    values: tuple[str, ...]
    title: str  # of the filter, or the name of the parameter
    is_known: bool = False
    reason: str = ""


def refusals(
    model_admin: ModelAdmin, request: HttpRequest, given: Mapping[str, str], others: Collection[str] = ()
) -> list[Refusal]:
    """Return what the list rejects of these parameters, each filter tried on its own against an empty queryset.
    `others` are parameters of this list that are no filters."""
    filters = list(_filters(model_admin))
    known = {*OTHERS, *others, *(name for each in filters for name in each.parameters())}
    found = [Refusal((name,), (value,), name) for name, value in given.items() if name not in known]
    return [*found, *(refusal for each in filters if (refusal := _refusal(each, model_admin, request, given)))]


def invalid_parameters(
    model_admin: ModelAdmin, request: HttpRequest, given: Mapping[str, str], others: Collection[str] = ()
) -> list[str]:
    """Return the names of the parameters that the list rejects."""
    return [name for refusal in refusals(model_admin, request, given, others) for name in refusal.names]


def _refusal(
    list_filter: type[ConstantFilter], model_admin: ModelAdmin, request: HttpRequest, given: Mapping[str, str]
) -> Refusal | None:
    """Return why the filter rejects its parameters: those that it rejects alone, or all that do not go together."""
    values = {name: given[name] for name in list_filter.parameters() if name in given and name not in OTHERS}
    reasons = {name: _fault(list_filter, model_admin, request, {name: value}) for name, value in values.items()}
    rejected = {name: reason for name, reason in reasons.items() if reason is not None}
    title, reason = str(list_filter.title), next(iter(rejected.values()), None)
    if reason is not None:
        return Refusal(tuple(rejected), tuple(values[name] for name in rejected), title, is_known=True, reason=reason)
    if len(values) < 2 or (reason := _fault(list_filter, model_admin, request, values)) is None:
        return None
    return Refusal(tuple(values), (), title, is_known=True, reason=reason)  # the sentence says which values


def _fault(
    list_filter: type[ConstantFilter], model_admin: ModelAdmin, request: HttpRequest, values: Mapping[str, str]
) -> str | None:
    """Return the sentence about what the filter accepts instead of these values, None if it accepts them."""
    params = {name: [value] for name, value in values.items()}
    nothing = model_admin.model._default_manager.none()
    try:
        list_filter(request, params, model_admin.model, model_admin).queryset(request, nothing)
    except IncorrectLookupParameters as error:
        return str(error) or str(list_filter.refusal) or _possible_values(list_filter)
    return None


def _possible_values(list_filter: type[ConstantFilter]) -> str:
    offered = [value for value, _title in getattr(list_filter, "offered", ())]
    return gettext("Possible values: %(values)s.") % {"values": ", ".join(offered)} if offered else ""


def _filters(model_admin: ModelAdmin) -> Iterable[type[ConstantFilter]]:
    return cast("Iterable[type[ConstantFilter]]", model_admin.list_filter)  # those of StrictAdmin are no others
