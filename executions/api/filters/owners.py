"""Whose rows a list holds."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request

from workflows.models import Node, Workflow
from workflows.querysets import may_see_all

MAX_IDS = 2000


def of_owner(rows: Any, user: Any, column: str) -> Any:
    """What `visible_to` finds by a join, of which the planner knows nothing and may read the whole ledger for nobody's
    rows: by a list of ids it knows how many rows each has. `column` points at workflows or, as `node`, at nodes."""
    if _sees_all(rows, user):
        return rows
    found: Any = Node.objects.filter(workflow__owner=user.pk) if column == "node" else _owned(user)
    ids = list(found.order_by().values_list("id", flat=True)[: MAX_IDS + 1])
    return rows if len(ids) > MAX_IDS else rows.filter(**{f"{column}__in": ids})


def hidden(request: Request, rows: Any, **workflow: UUID) -> bool:
    """Rows of this workflow are not for the caller, and not worth a look."""
    return not _sees_all(rows, request.user) and not _owned(request.user).filter(**workflow).exists()


def _sees_all(rows: Any, user: Any) -> bool:
    return may_see_all(user, f"executions.view_{rows.model._meta.model_name}")


def _owned(user: Any) -> Any:
    return Workflow.objects.filter(owner=user.pk)
