"""Filters of the lists. A parameter that is unknown, empty or invalid is refused by its name, with the allowed values;
every filter is answered by an index."""

from .filtersets import NodeExecutionFilters, WorkflowExecutionFilters
from .log_filtersets import LogFilters, LogsOfExecutionFilters
from .visibility import limit_to_owner, visible_groups

__all__ = [
    "LogFilters",
    "LogsOfExecutionFilters",
    "NodeExecutionFilters",
    "WorkflowExecutionFilters",
    "limit_to_owner",
    "visible_groups",
]
