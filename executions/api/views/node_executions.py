from uuid import UUID

from drf_spectacular.utils import extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from executions import attention
from executions.api.action_serializers import (
    CompleteNodeSerializer,
    FailNodeSerializer,
    SkipSerializer,
    StartNodeSerializer,
)
from executions.api.create_serializers import NewNodeExecutionSerializer
from executions.api.filters import NodeExecutionFilters, limit_to_owner
from executions.api.idempotent_create import CreateMixin
from executions.api.list_querysets import listed_nodes, nodes_of_run
from executions.api.row_lookups import NODE, PARENT_OF_NEW_NODE
from executions.api.search_pagination import SearchedPagination
from executions.api.serializers import (
    AttentionSerializer,
    LeaseSerializer,
    NodeExecutionListSerializer,
    NodeExecutionSerializer,
    StartedNodeExecutionSerializer,
)
from executions.models import NodeExecution, WorkflowExecution
from executions.querysets import NodeExecutionQuerySet
from ledgerkit.db.bounded_rows import RowsOf
from ledgerkit.rest.row_lists import RowListMixin
from ledgerkit.rest.schema import extend_schema
from tokens.models import Scope
from tokens.permissions import limit_to_token

from .base import NEWEST, VERBS, WORKFLOW_OF_RUN_ROW, RunChildView, TransitionViewMixin, grants_of_verbs

CHANGE = "executions.change_nodeexecution"


@extend_schema(tags=["node executions"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listNodeExecutions",
        summary="List node executions across runs",
        description=(
            "Newest first. Payloads (`input_data`, `output_data`, tracebacks) are left out; read the single node "
            "execution for them."
        ),
    ),
    retrieve=extend_schema(
        operation_id="getNodeExecution",
        summary="Read a node execution",
        description=(
            "Returns the node execution with its payloads and, if it failed, its traceback; `expand=attention` says "
            "why a running one is overdue or silent."
        ),
    ),
    start=extend_schema(
        operation_id="startNodeExecution",
        summary="Start a node",
        description="pending → running. Refused (409) unless its run is running.",
    ),
    heartbeat=extend_schema(
        operation_id="extendNodeExecutionLease",
        summary="Extend the lease of a node",
        description=(
            "Keeps the attempt whose `token` it is alive, for the seconds of its lease from now on. Refused (409, code "
            "`fenced`) if the attempt was replaced, or ended because its lease expired."
        ),
    ),
    complete=extend_schema(
        operation_id="completeNodeExecution",
        summary="Complete a node",
        description="running → completed.",
    ),
    fail=extend_schema(
        operation_id="failNodeExecution",
        summary="Fail a node",
        description="running → failed, with the error and, if any, its traceback.",
    ),
    skip=extend_schema(
        operation_id="skipNodeExecution",
        summary="Skip a node",
        description="pending → skipped.",
    ),
    cancel=extend_schema(
        operation_id="cancelNodeExecution",
        summary="Cancel a node",
        description="pending or running → cancelled.",
    ),
    retry=extend_schema(
        operation_id="retryNodeExecution",
        summary="Retry a failed node",
        description=(
            "failed → pending, if `can_retry` is true; the failed attempt is kept. Refused (409) if its run has ended: "
            "retry the run, which retries its failed nodes."
        ),
    ),
)
class NodeExecutionViewSet(RowListMixin, mixins.RetrieveModelMixin, TransitionViewMixin):
    serializer_class = NodeExecutionSerializer
    serializer_classes = {
        **VERBS,
        "list": NodeExecutionListSerializer,
        "start": StartNodeSerializer,
        "complete": CompleteNodeSerializer,
        "fail": FailNodeSerializer,
        "skip": SkipSerializer,
    }
    response_classes = {"start": StartedNodeExecutionSerializer, "heartbeat": LeaseSerializer}
    lookups = dict.fromkeys([*VERBS, "skip"], NODE)
    filterset_class = NodeExecutionFilters
    pagination_class = SearchedPagination
    orderings = {"created": ("created_at", "id")}
    ordering = NEWEST
    expandable = ("attention",)
    grants = {
        **grants_of_verbs(CHANGE),
        "skip": (Scope.EXECUTIONS_REPORT, CHANGE),
    }

    def lock_before(self, row: NodeExecution) -> None:
        """Lock the run, which every verb of a node locks first."""
        runs = WorkflowExecution.objects.filter(pk=row.workflow_execution_id).select_for_update(no_key=True)
        runs.values("pk").first()

    def get_queryset(self) -> NodeExecutionQuerySet:
        if self.action == "list":
            narrower = {"node", "workflow"} & set(self.request.query_params)
            listed = listed_nodes(self.fields)
            nodes = limit_to_owner(listed, self.request.user, WORKFLOW_OF_RUN_ROW, by_node=not narrower)
        else:
            nodes = NodeExecution.objects.visible_to(self.request.user).select_related("node")
        return limit_to_token(nodes, self.request, WORKFLOW_OF_RUN_ROW)

    def _run_id_in_path(self) -> UUID | None:
        id = super()._run_id_in_path()
        return NodeExecution.objects.filter(pk=id).values_list("workflow_execution", flat=True).first() if id else None

    def get_object(self) -> NodeExecution:
        """Return the row with the number of retries that its node allows now."""
        row: NodeExecution = super().get_object()
        self.shows_the_row_alone = row.node.updated_at <= row.updated_at
        return row

    def retrieve(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Return the node execution, with why it needs attention if `?expand=` asks for it."""
        node = self.get_object()
        answer = dict(self.get_serializer(node).data)
        if "attention" in self.expand:
            found = attention.findings_of_nodes([node.pk]).get(node.pk, [])
            answer["attention"] = [AttentionSerializer.row(each) for each in found]
        return Response(answer)

    @action(detail=True, methods=["post"])
    def skip(self, request: Request, pk: UUID) -> Response:
        node, body = self.row_and_body(request)
        node.skip(**body)
        return Response(self.serializer_class.row(node))


@extend_schema(tags=["node executions"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listExecutionNodes",
        summary="List the nodes of a run",
        description=(
            "Ordered by topological level, unless `ordering` is given. Payloads (`input_data`, `output_data`, "
            "tracebacks) are left out; read the single node execution for them."
        ),
    ),
    create=extend_schema(
        operation_id="createExecutionNode",
        summary="Add a node to a run",
        description=(
            "Creates a pending execution of a node of the run's workflow. `node` is its id or its name; "
            "`execution_order` defaults to its topological level. Refused (409) if the run has ended. A node execution "
            "that exists under its `id` is answered with 200, or with 409 if its content differs."
        ),
    ),
)
class NodesOfExecutionViewSet(CreateMixin[NodeExecution], RowListMixin, RunChildView):
    serializer_class = NodeExecutionSerializer
    orderings = {"execution_order": ("execution_order", "id"), "duration": ("by_duration", "id")}
    ordering = ("execution_order", "id")
    grants = {"create": (Scope.EXECUTIONS_REPORT, "executions.add_nodeexecution")}
    parents = {"create": PARENT_OF_NEW_NODE}

    def get_serializer_class(self) -> type[serializers.BaseSerializer[NodeExecution]]:
        return NodeExecutionListSerializer if self.action == "list" else NewNodeExecutionSerializer

    def get_queryset(self) -> NodeExecutionQuerySet | RowsOf:  # type: ignore[override]  # for the paginator alone
        """Return the rows of a list, or those that a repeated creation may find, which it answers in full."""
        if self.lists_all("nodeexecution") and not self.ordering[0].endswith("by_duration"):
            is_first = "cursor" not in self.request.query_params  # the index of the order lacks the id
            return RowsOf(NodeExecution, nodes_of_run, self.execution.pk, keeps_plan=is_first)
        is_list = self.action == "list"
        rows = listed_nodes(self.fields) if is_list else NodeExecution.objects.select_related("node")
        return rows.filter(workflow_execution=self.execution.pk).visible_to(self.request.user)
