from .deletions import DeletionAdmin
from .logs import ExecutionLogAdmin
from .nodes import NodeExecutionAdmin
from .runs import WorkflowExecutionAdmin

__all__ = ["DeletionAdmin", "ExecutionLogAdmin", "NodeExecutionAdmin", "WorkflowExecutionAdmin"]
