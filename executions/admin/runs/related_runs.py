"""Related runs: the parent of a run and the run that it runs again, and the runs that name it as one of these."""

from executions import limits
from executions.admin.types import Runs, User
from executions.models import WorkflowExecution
from executions.rerun import RERUN_OF
from ledgerkit.db.models import parse_uuid

RUN_COLUMNS = ("status", "failed_nodes", "created_at", "started_at", "ended_at", "workflow", "workflow_name")


def get_run(user: User, named: str | None) -> WorkflowExecution | None:
    """Return the run with this id, or None if the user can see none."""
    pk = parse_uuid(named) if named else None
    return _rows(user).filter(pk=pk).first() if pk else None


def get_children(user: User, run: WorkflowExecution) -> tuple[list[WorkflowExecution], bool]:
    """Return the newest child runs, and whether there may be more."""
    return _newest(_rows(user).filter(context__contains={"parent_execution_id": str(run.pk)}))


def get_reruns(user: User, run: WorkflowExecution) -> tuple[list[WorkflowExecution], bool]:
    """Return the newest runs that run it again, and whether there may be more."""
    return _newest(_rows(user).filter(metadata__contains={RERUN_OF: str(run.pk)}))


def _newest(found: Runs) -> tuple[list[WorkflowExecution], bool]:
    rows = list(found.order_by("-created_at", "-id")[: limits.CHILDREN + 1])
    return rows[: limits.CHILDREN], len(rows) > limits.CHILDREN


def _rows(user: User) -> Runs:
    return WorkflowExecution.objects.visible_to(user).only(*RUN_COLUMNS)
