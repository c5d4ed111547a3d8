from .logs.log_admin import ExecutionLogAdmin
from .nodes.node_admin import NodeExecutionAdmin
from .runs.deletion_admin import DeletionAdmin
from .runs.run_admin import WorkflowExecutionAdmin

__all__ = ["DeletionAdmin", "ExecutionLogAdmin", "NodeExecutionAdmin", "WorkflowExecutionAdmin"]
