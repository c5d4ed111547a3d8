"""What a GET may ask for in its address: filters, the order, fewer fields. A parameter that is not known, is empty or
makes no sense is refused by its name, with what is allowed there; and each filter is answered by an index."""

from workflows.api.query import QueryFilters

from .lists import (
    LogFilters,
    LogsOfExecutionFilters,
    NodeExecutionFilters,
    WorkflowExecutionFilters,
)
from .owners import of_owner
from .parameters import PAGING, check_names, words
from .values import Several

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
