from .logs import ExecutionLogAdmin
from .nodes import NodeExecutionAdmin
from .runs import WorkflowExecutionAdmin

__all__ = ["ExecutionLogAdmin", "NodeExecutionAdmin", "WorkflowExecutionAdmin"]
