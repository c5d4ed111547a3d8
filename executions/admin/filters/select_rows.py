"""The rows that the parameters of a list's address select."""

from collections.abc import Iterable
from typing import cast

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import Model, QuerySet
from django.http import HttpRequest, QueryDict

from executions.admin.types import User
from ledgerkit.admin.lists import ConstantFilter, ModelAdmin

from . import validation


def select_rows(model_admin: ModelAdmin, user: User, query: QueryDict, others: Iterable[str] = ()) -> QuerySet[Model]:
    """Return the rows that the user sees in the list with these filters and this search, in no order. Periods such as
    the last 3 days end now. Raises IncorrectLookupParameters; `others` are parameters of the list that are no
    filters."""
    request = HttpRequest()
    request.method, request.GET, request.user = "GET", query, user  # type: ignore[assignment]  # a QueryDict as well
    params = {name: [str(value) for value in values] for name, values in query.lists()}
    rows = model_admin.get_queryset(request).order_by()
    for list_filter in cast("Iterable[type[ConstantFilter]]", model_admin.list_filter):
        spec = list_filter(request, params, model_admin.model, model_admin)
        rows = spec.queryset(request, rows)
        if (runs := getattr(spec, "runs", None)) is not None:  # which the list reads one by one
            rows = rows.filter(workflow_execution__in=runs)
    if params.keys() - {*validation.OTHERS, *others}:
        raise IncorrectLookupParameters
    return model_admin.get_search_results(request, rows, query.get(SEARCH_VAR, ""))[0]
