from uuid import UUID

from drf_spectacular.utils import extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from executions import attention, audit, error_excerpts, limits, queue
from executions.api.action_serializers import DeleteSerializer, RerunSerializer
from executions.api.create_serializers import NewWorkflowExecutionSerializer
from executions.api.filters import WorkflowExecutionFilters, limit_to_owner
from executions.api.idempotent_create import Content, CreateMixin, IdTaken
from executions.api.json_rows import Row, log_row, node_row
from executions.api.list_querysets import all_runs, listed_runs, runs_in
from executions.api.row_lookups import RUN, RUN_TO_READ, RUN_TO_RETRY
from executions.api.search_pagination import RunPagination
from executions.api.serializers import (
    AttentionSerializer,
    GraphOfExecutionSerializer,
    LeaseSerializer,
    RunAheadSerializer,
    StartedExecutionSerializer,
    WorkflowExecutionListSerializer,
    WorkflowExecutionSerializer,
)
from executions.exceptions import InvalidTransition
from executions.models import ExecutionStatus, WorkflowExecution
from executions.querysets import WorkflowExecutionQuerySet
from executions.rerun import RERUN_OF
from ledgerkit.db.bounded_rows import RowsOf
from ledgerkit.rest.preconditions import RejectIfMatchOnCreateMixin
from ledgerkit.rest.row_lists import RowListMixin
from ledgerkit.rest.schema import extend_schema
from tokens.models import Scope
from tokens.permissions import is_bound, limit_to_token
from workflows.models import Workflow
from workflows.querysets import can_view_all

from .base import NEWEST, UNFILTERED, VERBS, TransitionViewMixin, grants_of_verbs


@extend_schema(tags=["executions"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listExecutions",
        summary="List runs",
        description=(
            "Newest first, unless `ordering` is given. Payloads (`input_data`, `output_data`, `context`) are left out; "
            "read the single run for them."
        ),
    ),
    create=extend_schema(
        operation_id="createExecution",
        summary="Create a run",
        description=(
            "Creates a pending run of an active workflow. The values under `context.secrets` are masked in every "
            "response, and in everything that the run reports later. A run that exists under its `id` is answered "
            "with 200, or with 409 if its content differs. With `queue` it waits in the queue of its workflow."
        ),
    ),
    retrieve=extend_schema(
        operation_id="getExecution",
        summary="Read a run",
        description=(
            "`expand=nodes,logs` adds its node executions, as many as fit on a page (if there are more, "
            "`nodes_are_cut` is true), and its newest 200 log lines, in ascending order; `expand=attention` says why "
            "it is overdue, unstarted, silent or late, `expand=ahead` which runs a queued one waits for."
        ),
    ),
    destroy=extend_schema(
        operation_id="deleteExecution",
        summary="Delete a run",
        description=(
            "Deletes the run with its node executions, attempts, log lines and history. A record of the deletion, with "
            "the caller and the `reason` in the body, remains and is visible to staff."
        ),
    ),
    graph=extend_schema(
        operation_id="getExecutionGraph",
        summary="Read the graph of a run",
        description=(
            "The graph with which the run was created, whatever has changed in its workflow since: nodes, levels, "
            "edges, and the status of each node in this run. Empty for callers who may not see its node executions."
        ),
    ),
    start=extend_schema(
        operation_id="startExecution",
        summary="Start a run",
        description=(
            "pending → running. Refused (409) while another run of the workflow is running, unless "
            "`allow_concurrent` of this run's metadata is true; a queued run (409, code `queued`) also while one that "
            "was queued before it waits: `waits_for` names it."
        ),
    ),
    heartbeat=extend_schema(
        operation_id="extendExecutionLease",
        summary="Extend the lease of a run",
        description=(
            "Keeps the attempt whose `token` it is alive, for the seconds of its lease from now on. Refused (409, code "
            "`fenced`) if the attempt was replaced, or ended because its lease expired."
        ),
    ),
    complete=extend_schema(
        operation_id="completeExecution",
        summary="Complete a run",
        description=("running → completed; pending nodes are skipped. Refused (409) while nodes are running."),
    ),
    fail=extend_schema(
        operation_id="failExecution",
        summary="Fail a run",
        description="running → failed; pending nodes are skipped, running ones cancelled.",
    ),
    cancel=extend_schema(
        operation_id="cancelExecution",
        summary="Cancel a run",
        description="pending or running → cancelled, with every pending or running node.",
    ),
    retry=extend_schema(
        operation_id="retryExecution",
        summary="Retry a failed run",
        description=(
            "failed → pending. The failed attempt is kept. Failed nodes are retried too; nodes that were skipped or "
            "cancelled because of the failure become pending again; completed ones do not change. With "
            "`override_max_retries` a failed node is retried once more than its `max_retries` allow."
        ),
    ),
    rerun=extend_schema(
        operation_id="rerunExecution",
        summary="Run again as a new run",
        description=(
            "Creates a pending run with the input of this one, or another, whose metadata name this one as `rerun_of`. "
            "With `from_node`, its context has in `rerun` the node to start from, and by name the completed node "
            "executions whose outputs are still good. Masked values of the context are left out; an input that has "
            "any is refused."
        ),
    ),
)
class WorkflowExecutionViewSet(
    RejectIfMatchOnCreateMixin,
    CreateMixin[WorkflowExecution],
    RowListMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    TransitionViewMixin,
):
    serializer_class = WorkflowExecutionSerializer
    serializer_classes = {
        "list": WorkflowExecutionListSerializer,
        "create": NewWorkflowExecutionSerializer,
        "graph": GraphOfExecutionSerializer,
        **VERBS,
        "rerun": RerunSerializer,
        "destroy": DeleteSerializer,
    }
    response_classes = {"start": StartedExecutionSerializer, "heartbeat": LeaseSerializer}
    lookups = {
        **dict.fromkeys([*VERBS, "destroy"], RUN),
        **dict.fromkeys(["retry", "rerun"], RUN_TO_RETRY),
        "retrieve": RUN_TO_READ,
    }
    pagination_class = RunPagination
    filterset_class = WorkflowExecutionFilters
    orderings = {"created": ("created_at", "id"), "started": ("by_start", "id"), "duration": ("by_duration", "id")}
    ordering = NEWEST
    expandable = ("nodes", "logs", "attention", "ahead")
    grants = {
        "create": (Scope.EXECUTIONS_REPORT, "executions.add_workflowexecution"),
        **grants_of_verbs("executions.change_workflowexecution"),
        "rerun": (Scope.EXECUTIONS_CONTROL, "executions.change_workflowexecution"),
        "destroy": (Scope.EXECUTIONS_CONTROL, "executions.delete_workflowexecution"),
    }

    def get_queryset(self) -> WorkflowExecutionQuerySet | RowsOf:  # type: ignore[override]  # for the paginator alone
        if self.action == "list":
            if can_view_all(self.request.user, "executions.view_workflowexecution") and self._lists_by_status_alone():
                status = self.request.query_params.get("status", "")
                return RowsOf(WorkflowExecution, runs_in if status else all_runs, status)
            runs = limit_to_owner(listed_runs(self.fields), self.request.user)
            return limit_to_token(runs, self.request)
        runs = limit_to_token(WorkflowExecution.objects.visible_to(self.request.user), self.request)
        if self.action == "graph":
            return runs.select_related("graph", "workflow").without_payload()
        return runs.defer("encrypted_secrets")

    def _lists_by_status_alone(self) -> bool:
        """Return whether the request lists all runs, or all in one status, by creation, and its token is not bound to
        runs."""
        given = self.request.query_params
        is_plain = given.keys() <= {*UNFILTERED, "status"} and self.ordering[0] in {"created_at", "-created_at"}
        statuses = given.getlist("status")
        is_one = not statuses or (len(statuses) == 1 and statuses[0] in ExecutionStatus.values)
        return is_plain and is_one and not is_bound(self.request)

    def retrieve(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Return the run, with what `?expand=` asks for."""
        run = self.get_object()
        answer = dict(self.get_serializer(run).data)
        if "nodes" in self.expand:
            answer |= self._nodes(run)
        if "logs" in self.expand:
            answer |= self._logs(run)
        if "attention" in self.expand:
            found = attention.findings_of_runs([run.pk]).get(run.pk, [])
            answer["attention"] = [AttentionSerializer.row(each) for each in found]
        if "ahead" in self.expand:
            answer["ahead"] = [RunAheadSerializer.row(each) for each in queue.runs_ahead(run.pk, limits.RUNS_AHEAD)]
        return Response(answer)

    def destroy(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Delete the run. Requires a reason; refused while the run is running."""
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        with audit.act_as(reason=body.validated_data["reason"]):
            return super().destroy(request, *args, **kwargs)

    def perform_destroy(self, instance: WorkflowExecution) -> None:
        instance.delete_unless_running()

    @action(detail=True)
    def graph(self, request: Request, pk: UUID) -> Response:
        """Return the run's graph with levels, edges and the status of each node."""
        return Response(self.get_serializer(self.get_object()).data)

    @action(detail=True, methods=["post"])
    def rerun(self, request: Request, pk: UUID) -> Response:
        run, body = self.row_and_body(request)
        given_reason = body.pop("reason", None) or ""
        if "id" in body and (made := self._made_before(run, body["id"])):
            return Response(self.serializer_class.row(made))
        with audit.act_as(reason=given_reason):
            new = run.rerun(**body)
        return Response(self.serializer_class.row(new), status=201)

    def _made_before(self, run: WorkflowExecution, id: UUID) -> WorkflowExecution | None:
        """Return the new run of a repeated request. Raises IdTaken if the id is that of another run."""
        found = WorkflowExecution.objects.filter(pk=id).first()
        if found is not None and found.metadata.get(RERUN_OF) != str(run.pk):
            raise IdTaken
        return found

    def save(self, serializer: BaseSerializer[WorkflowExecution]) -> None:
        if serializer.validated_data.get("start"):
            self._check_action("start", serializer.validated_data["workflow"])
        serializer.save(traceparent=self.request.META.get("HTTP_TRACEPARENT", ""))

    def on_existing(self, row: WorkflowExecution, content: Content) -> None:
        """Start an existing pending run if the repeated request contains `start: true`. Raises the errors of start(),
        unless a concurrent request has started it."""
        if not content.get("start") or row.status != ExecutionStatus.PENDING:
            return
        self._check_action("start", content["workflow"])
        try:
            row.start(at=content.get("created_at"))
        except InvalidTransition:
            row.refresh_from_db()
            if row.status == ExecutionStatus.PENDING and not row.is_queued:
                raise

    def _check_action(self, action: str, row: Workflow) -> None:
        """Check the permission of another action too."""
        self.action, requested = action, self.action
        self.check_permissions(self.request)
        self.check_object_permissions(self.request, row)
        self.action = requested

    def _nodes(self, run: WorkflowExecution) -> Row:
        rows, are_cut = error_excerpts.first(run.node_executions.visible_to(self.request.user).for_lists())
        nodes: Row = {"nodes": [node_row(vars(row)) for row in rows]}
        return nodes | {"nodes_are_cut": True} if are_cut else nodes

    def _logs(self, run: WorkflowExecution) -> Row:
        lines = run.logs.visible_to(self.request.user).newest(limits.EXPANDED_LINES)
        return {"logs": [log_row(line) for line in lines]}
