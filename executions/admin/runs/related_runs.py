"""Related runs: the parent of a run, and the runs whose context names it as their parent."""

from executions import limits
from executions.admin.types import Runs, User
from executions.models import WorkflowExecution
from ledgerkit.db.models import parse_uuid

COLUMNS = ("status", "failed_nodes", "created_at", "started_at", "ended_at", "workflow", "workflow_name")


def get_parent(user: User, named: str | None) -> WorkflowExecution | None:
    """Return the run with this id, or None if the user can see none."""
    pk = parse_uuid(named) if named else None
    return _rows(user).filter(pk=pk).first() if pk else None


def get_children(user: User, run: WorkflowExecution) -> tuple[list[WorkflowExecution], bool]:
    """Return the newest child runs, and whether there may be more."""
    found = _rows(user).filter(context__contains={"parent_execution_id": str(run.pk)})
    rows = list(found.order_by("-created_at", "-id")[: limits.CHILDREN + 1])
    return rows[: limits.CHILDREN], len(rows) > limits.CHILDREN


def _rows(user: User) -> Runs:
    return WorkflowExecution.objects.visible_to(user).only(*COLUMNS)
