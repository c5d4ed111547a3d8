"""What a GET may ask for in its address: filters, the order, fewer fields. A parameter that is not known, is empty or
makes no sense is refused by its name, with what is allowed there; and each filter is answered by an index."""

from ledgerkit.rest.filters import Several
from ledgerkit.rest.parameter_names import PAGING, check_names, words
from ledgerkit.rest.query_params import QueryFilters

from .filtersets import LogFilters, LogsOfExecutionFilters, NodeExecutionFilters, WorkflowExecutionFilters
from .visibility import of_owner

__all__ = [
    "PAGING",
    "LogFilters",
    "LogsOfExecutionFilters",
    "NodeExecutionFilters",
    "QueryFilters",
    "Several",
    "WorkflowExecutionFilters",
    "check_names",
    "of_owner",
    "words",
]
