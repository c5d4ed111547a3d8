from workflows.admin import WorkflowAdmin

from .activity_admin import ActivityAdmin
from .error_groups.group_admin import ErrorGroupAdmin
from .logs.log_admin import ExecutionLogAdmin
from .monitor.upkeep_admin import UpkeepRunAdmin
from .nodes.node_admin import NodeExecutionAdmin
from .runs.bulk_action_admin import BulkActionAdmin
from .runs.deletion_admin import DeletionAdmin
from .runs.run_admin import WorkflowExecutionAdmin
from .workflow.run_columns import RunColumns
from .workflow.workflow_page import workflow_page

__all__ = [
    "ActivityAdmin",
    "BulkActionAdmin",
    "DeletionAdmin",
    "ErrorGroupAdmin",
    "ExecutionLogAdmin",
    "NodeExecutionAdmin",
    "UpkeepRunAdmin",
    "WorkflowExecutionAdmin",
]

WorkflowAdmin.page_view = staticmethod(workflow_page)
WorkflowAdmin.run_columns = RunColumns
