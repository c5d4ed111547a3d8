"""The runs around a run: its parent, and those whose context names it as theirs."""

from executions.admin.types import Runs, User
from executions.models import WorkflowExecution
from ledgerkit.db.models import parse_uuid

SHOWN = 20
COLUMNS = ("status", "failed_nodes", "created_at", "started_at", "ended_at", "workflow", "workflow_name")


def get_parent(user: User, named: str | None) -> WorkflowExecution | None:
    """The run of that id, or None where there is none that the user may see."""
    pk = parse_uuid(named) if named else None
    return _rows(user).filter(pk=pk).first() if pk else None


def get_children(user: User, run: WorkflowExecution) -> tuple[list[WorkflowExecution], bool]:
    """The newest ones, and whether there may be more."""
    found = _rows(user).filter(context__contains={"parent_execution_id": str(run.pk)})
    rows = list(found.order_by("-created_at", "-id")[: SHOWN + 1])
    return rows[:SHOWN], len(rows) > SHOWN


def _rows(user: User) -> Runs:
    return WorkflowExecution.objects.visible_to(user).only(*COLUMNS)
