"""What a GET may ask for in its address: filters, the order, fewer fields. A parameter that is not known, is empty or
makes no sense is refused by its name, with what is allowed there; and each filter is answered by an index."""

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
