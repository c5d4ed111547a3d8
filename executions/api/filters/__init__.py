"""Query parameters of a GET: filters, ordering, sparse fields. A parameter that is unknown, empty or invalid is refused
by its name, with the allowed values; every filter is answered by an index."""

from ledgerkit.rest.filters import MultiChoiceFilter
from ledgerkit.rest.parameter_names import PAGING, check_names, parse_name_list
from ledgerkit.rest.query_params import ListFilterBackend

from .filtersets import LogFilters, LogsOfExecutionFilters, NodeExecutionFilters, WorkflowExecutionFilters
from .visibility import limit_to_owner

__all__ = [
    "PAGING",
    "ListFilterBackend",
    "LogFilters",
    "LogsOfExecutionFilters",
    "MultiChoiceFilter",
    "NodeExecutionFilters",
    "WorkflowExecutionFilters",
    "check_names",
    "limit_to_owner",
    "parse_name_list",
]
