"""The models of the ledger, one module each."""

from executions.states import ExecutionStatus, LogLevel, TriggerType

from .attempt import NodeExecutionAttempt, WorkflowExecutionAttempt
from .history import Deletion, HistoryEntry
from .log import ExecutionLog
from .node_execution import NodeExecution
from .saved_view import SavedView
from .workflow_execution import WorkflowExecution

__all__ = [
    "Deletion",
    "ExecutionLog",
    "ExecutionStatus",
    "HistoryEntry",
    "LogLevel",
    "NodeExecution",
    "NodeExecutionAttempt",
    "SavedView",
    "TriggerType",
    "WorkflowExecution",
    "WorkflowExecutionAttempt",
]
