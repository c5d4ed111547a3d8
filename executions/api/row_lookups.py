"""The row that a call names, read by a statement that is compiled once."""

from collections.abc import Collection, Mapping
from uuid import UUID

from django.db.models import BooleanField, Exists, Expression, ExpressionWrapper, OuterRef, QuerySet
from django.db.models.functions import Coalesce, Least, Now
from django.http import Http404
from rest_framework.request import Request

from executions.masking import maskable_fields
from executions.models import DroppedLines, LogRemoval, NodeExecution, WorkflowExecution
from executions.querysets import can_see
from ledgerkit.db.row_lookup import ITSELF, RowLookup, field_names
from tokens.permissions import is_bound_to
from workflows.models import Graph

type Row = NodeExecution | WorkflowExecution
type Fields = Collection[str]

OWNER = ("id", "owner_id")  # of the workflow: what the check of the permission needs
DOCUMENTS = maskable_fields(WorkflowExecution)
HAS_ABSENT_LINES = "has_absent_lines"  # of the row of PARENT_OF_LINES


def by_id[R: Row](
    model: type[R], without: Fields = (), annotations: Mapping[str, Expression] = {}, **related: Fields
) -> RowLookup[R]:
    def rows(id: UUID) -> QuerySet[R]:
        found: QuerySet[R] = QuerySet(model).filter(pk=id).order_by().annotate(**annotations)
        return found

    fields = {ITSELF: field_names(model, without), **related}
    return RowLookup(rows, UUID(int=0), fields=fields, annotations=[*annotations])


def visible[R: Row](request: Request, row: R | None) -> R:
    """Return the row. Raises Http404 if there is none, or if the caller may not see it."""
    if row is None:
        raise Http404
    workflow = row.workflow_execution.workflow if isinstance(row, NodeExecution) else row.workflow
    is_visible = can_see(request.user, str(row._meta.model_name), workflow.owner_id)
    if not (is_visible and is_bound_to(request, workflow.pk)):
        raise Http404
    return row


def _removals() -> QuerySet[LogRemoval]:
    """Return the removals of log lines in the period of the run, some of which may have left its lines."""
    end, start = Coalesce(OuterRef("ended_at"), Now()), Least(OuterRef("created_at"), OuterRef("started_at"))
    return LogRemoval.objects.filter(start__lt=end, end__gt=start)


def _dropped_lines() -> QuerySet[DroppedLines]:
    return DroppedLines.objects.filter(workflow_execution=OuterRef("pk"))


RUN = by_id(WorkflowExecution, workflow=OWNER)
RUN_TO_READ = by_id(WorkflowExecution, {"encrypted_secrets"}, workflow=OWNER)
RUN_TO_RETRY = by_id(WorkflowExecution, workflow=OWNER, graph=field_names(Graph))
NODE = by_id(
    NodeExecution,
    node=("id", "workflow_id", "retry_config", "updated_at"),
    workflow_execution=("id", "workflow_id", "status", "version", "encrypted_secrets"),
    workflow_execution__workflow=OWNER,
)
# The run whose rows a call is about, and the run that gets a new node.
WITHOUT = DOCUMENTS - {"metadata"}
PARENT = by_id(WorkflowExecution, {*WITHOUT, "encrypted_secrets"}, workflow=OWNER)
PARENT_OF_LINES = by_id(
    WorkflowExecution,
    {*WITHOUT, "encrypted_secrets"},
    {HAS_ABSENT_LINES: ExpressionWrapper(Exists(_removals()) | Exists(_dropped_lines()), BooleanField())},
    workflow=(*OWNER, "config"),
)
PARENT_OF_NEW_NODE = by_id(WorkflowExecution, WITHOUT, workflow=OWNER, graph=field_names(Graph))
