"""The row that a call names, read by a statement that is compiled once. A row that the caller may not see is not
found."""

from uuid import UUID

from django.db.models import F, UUIDField
from django.http import Http404
from rest_framework.request import Request

from executions.models import NodeExecution, WorkflowExecution
from executions.querysets import NodeExecutionQuerySet, WorkflowExecutionQuerySet, can_see
from ledgerkit.db.compiled import Compiled, Slot
from tokens.permissions import is_bound_to

OWNER = "owner_id"  # takes the place of the property of the row
BY_ID = {"pk": Slot("id", UUIDField())}


def _runs_to_change(*related: str) -> WorkflowExecutionQuerySet:
    """Return runs with what their verbs and the check of the permission need."""
    rows = WorkflowExecution.objects.annotate(**{OWNER: F("workflow__owner_id")})
    return rows.select_related(*related) if related else rows


def _nodes_to_change() -> NodeExecutionQuerySet:
    owner = {OWNER: F("workflow_execution__workflow__owner_id")}
    return NodeExecution.objects.with_run().select_related("node").annotate(**owner)


def _parents() -> WorkflowExecutionQuerySet:
    return WorkflowExecution.objects.select_related("workflow").without_payload(errors=False)


def _parents_of_new_nodes() -> WorkflowExecutionQuerySet:
    documents = ("input_data", "output_data", "context", "error_message")
    return WorkflowExecution.objects.select_related("workflow", "graph").defer(*documents)


RUN = Compiled(lambda: _runs_to_change().filter(**BY_ID))
RUN_WITH_GRAPH = Compiled(lambda: _runs_to_change("graph").filter(**BY_ID))
RUN_TO_READ = Compiled(lambda: _runs_to_change().defer("encrypted_secrets").filter(**BY_ID))
NODE = Compiled(lambda: _nodes_to_change().filter(**BY_ID))
PARENT = Compiled(lambda: _parents().filter(**BY_ID))
PARENT_OF_NEW_NODE = Compiled(lambda: _parents_of_new_nodes().filter(**BY_ID))


def run_to_read(request: Request, id: UUID) -> WorkflowExecution:
    run = RUN_TO_READ.first(id=id)
    return _if_visible(request, run, run, "workflowexecution")


def run_to_change(request: Request, id: UUID) -> WorkflowExecution:
    run = RUN.first(id=id)
    return _if_visible(request, run, run, "workflowexecution")


def run_to_retry(request: Request, id: UUID) -> WorkflowExecution:
    run = RUN_WITH_GRAPH.first(id=id)
    return _if_visible(request, run, run, "workflowexecution")


def node_to_change(request: Request, id: UUID) -> NodeExecution:
    node = NODE.first(id=id)
    return _if_visible(request, node, None if node is None else node.workflow_execution, "nodeexecution")


def parent_run(request: Request, id: UUID) -> WorkflowExecution:
    """Return the run whose rows a call is about."""
    run = PARENT.first(id=id)
    return _if_visible(request, run, run, "workflowexecution")


def parent_of_new_node(request: Request, id: UUID) -> WorkflowExecution:
    """Return the run with its secrets and its graph."""
    run = PARENT_OF_NEW_NODE.first(id=id)
    return _if_visible(request, run, run, "workflowexecution")


def _if_visible[R: (WorkflowExecution, NodeExecution)](
    request: Request, row: R | None, run: WorkflowExecution | None, kind: str
) -> R:
    """Return the row. Raises Http404 if there is none, or if the caller may not see it."""
    if row is None or run is None:
        raise Http404
    if not (can_see(request.user, kind, row.owner_id) and is_bound_to(request, run.workflow_id)):
        raise Http404
    return row
