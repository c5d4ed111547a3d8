"""Limits of lists to the rows that a caller may see."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from executions import limits
from executions.models import ErrorGroup
from executions.models.error_group import ErrorGroupQuerySet
from executions.querysets import ExecutionLogQuerySet, NodeExecutionQuerySet, WorkflowExecutionQuerySet
from tokens.models import Token
from workflows.models import Workflow
from workflows.querysets import User, can_view_all


def limit_to_owner[Q: (WorkflowExecutionQuerySet, NodeExecutionQuerySet, ExecutionLogQuerySet)](
    rows: Q, user: User, path: str = "workflow", *, by_node: bool = False
) -> Q:
    """Filter rows to an owner's by a list of workflow ids. `visible_to` does it by a join, for which the planner cannot
    estimate the number of rows and may read the whole table. `path` leads to the workflow; `by_node` filters by the
    rows' nodes too, where no narrower filter is given."""
    if sees_all(rows, user):
        return rows
    ids = Workflow.objects.filter(owner=user.pk).order_by().values_list("id", *["nodes__id"] if by_node else [])
    found = list(zip(*ids[: limits.VISIBLE_IDS + 1], strict=True))
    if not found or len(found[0]) > limits.VISIBLE_IDS:
        return rows.visible_to(user) if found else rows.none()
    rows = rows.filter(**{f"{path}__in": set(found[0])})
    of_nodes = {"node__in": set(found[1]) - {None}} if by_node else {}
    return rows.filter(**of_nodes)


def visible_groups(request: Request) -> ErrorGroupQuerySet:
    """Return the groups of errors that the caller may see: with a bound token, those of its workflows alone."""
    groups = ErrorGroup.objects.visible_to(request.user).current()
    bound_to = request.auth.bound_to if isinstance(request.auth, Token) else []
    return groups.of_workflows_alone(Q(workflow__in=bound_to)) if bound_to else groups


def is_node_hidden(request: Request, rows: QuerySet[Model], node: UUID) -> bool:
    """Return whether rows of this node are hidden from the caller, so that no query is needed."""
    own = Workflow.objects.filter(owner=request.user.pk, nodes=node)
    return not sees_all(rows, request.user) and not own.exists()


def visible_workflows(request: Request, rows: QuerySet[Model], ids: Sequence[UUID]) -> Sequence[UUID]:
    """Return those of the workflows whose rows the caller may see. For those who may see all no query is needed."""
    if sees_all(rows, request.user):
        return ids
    return list(Workflow.objects.filter(owner=request.user.pk, pk__in=ids).values_list("id", flat=True))


def sees_all(rows: QuerySet[Model], user: User) -> bool:
    return can_view_all(user, f"executions.view_{rows.model._meta.model_name}")
