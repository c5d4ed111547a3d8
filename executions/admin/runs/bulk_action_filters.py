"""Chips of the filters that are stored with a bulk action, as its confirmation page showed them."""

from collections.abc import Mapping, Sequence
from copy import copy
from urllib.parse import urlencode

from django.contrib.admin.options import IncorrectLookupParameters
from django.http import HttpRequest, QueryDict

from executions.admin.base import ReadOnlyAdmin
from executions.admin.filters import validation
from executions.admin.runs.changelist import RunChangeList
from ledgerkit.admin.lists import Chip


class RowlessChangeList(RunChangeList):
    """The list of runs, of which only the filters are read."""

    def get_results(self, request: HttpRequest) -> None:
        self.result_list = []


def chips_of(model_admin: ReadOnlyAdmin, request: HttpRequest, filters: Mapping[str, Sequence[str]]) -> list[Chip]:
    """Return a chip for each filter; none if the list has not all of them: those of the API have names of their own."""
    list_request = copy(request)
    list_request.GET = QueryDict(urlencode(filters, doseq=True))
    if validation.invalid_parameters(model_admin, list_request, list_request.GET.dict(), model_admin.own_parameters):
        return []
    try:
        return _list_of(model_admin, list_request).chips
    except IncorrectLookupParameters:
        return []


def _list_of(model_admin: ReadOnlyAdmin, request: HttpRequest) -> RowlessChangeList:
    display = model_admin.get_list_display(request)
    return RowlessChangeList(
        request, model_admin.model, display, model_admin.get_list_display_links(request, display),
        model_admin.get_list_filter(request), model_admin.date_hierarchy, model_admin.get_search_fields(request),
        model_admin.get_list_select_related(request), model_admin.list_per_page, model_admin.list_max_show_all,
        model_admin.list_editable, model_admin, (), "",
    )  # fmt: skip
