"""The runs around a run: its parent, and those whose context names it as theirs."""

from typing import Any

from executions.models import WorkflowExecution
from workflows.base import parse_uuid

SHOWN = 20
COLUMNS = ("status", "failed_nodes", "created_at", "started_at", "ended_at", "workflow__name")


def parent_of(user: Any, named: str | None) -> Any:
    """The run of that id, or None where there is none that the user may see."""
    pk = parse_uuid(named) if named else None
    return _rows(user).filter(pk=pk).first() if pk else None


def children_of(user: Any, run: Any) -> tuple[list[Any], bool]:
    """The newest ones, and whether there may be more."""
    found = WorkflowExecution.objects.filter(context__contains={"parent_execution_id": str(run.pk)})
    # By themselves, so that it is the index on context that finds them, not a walk along the order of the rows.
    pks = list(found.order_by().values_list("pk", flat=True)[: SHOWN + 1])
    rows = list(_rows(user).filter(pk__in=pks).order_by("-created_at", "-id")[:SHOWN]) if pks else []
    return rows, len(pks) > SHOWN


def _rows(user: Any) -> Any:
    return WorkflowExecution.objects.visible_to(user).select_related("workflow").only(*COLUMNS)
