from typing import Any, ClassVar, Literal

from django.db import transaction
from drf_spectacular.utils import extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from ledgerkit.db import bounded_rows
from ledgerkit.db.locks import lock
from ledgerkit.rest.http_methods import METHODS
from ledgerkit.rest.idempotency import IdempotencyMixin
from ledgerkit.rest.preconditions import PreconditionsMixin, RejectIfMatchOnCreateMixin
from ledgerkit.rest.query_params import ListFilterBackend
from ledgerkit.rest.row_lists import RowListMixin
from ledgerkit.rest.schema import extend_schema
from tokens.base_views import LedgerView
from tokens.models import Scope, Token
from tokens.permissions import limit_to_token
from workflows.models import Workflow

from .body_masking import mask_body
from .filters import WorkflowFilters, normalize_name
from .serializers import (
    DuplicateSerializer,
    EnsureSerializer,
    GraphSerializer,
    WorkflowListSerializer,
    WorkflowSerializer,
)

WRITE = Scope.WORKFLOWS_WRITE


@extend_schema(tags=["workflows"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listWorkflows",
        summary="List workflows",
        description=("Sorted by name; `name` returns those with this name. Read the single workflow for its graph."),
    ),
    create=extend_schema(
        operation_id="createWorkflow",
        summary="Create a workflow with its graph",
        description=(
            "Creates the whole graph in one call; edges name their nodes by id or by name. Edges that form a cycle are "
            "refused, and the error names the cycle."
        ),
    ),
    retrieve=extend_schema(
        operation_id="getWorkflow",
        summary="Read a workflow with its graph",
        description="The workflow, its nodes and the edges between them.",
    ),
    update=extend_schema(
        operation_id="replaceWorkflow",
        summary="Replace a workflow",
        description=(
            "Missing `nodes` or `edges` do not change; a node with the id, or else the name, of an existing one "
            "updates it. With `version` or `If-Match`, the change is refused if the workflow is newer."
        ),
    ),
    partial_update=extend_schema(
        operation_id="updateWorkflow",
        summary="Change parts of a workflow",
        description=(
            "Changes only the fields in the body; `nodes` and `edges` are replaced as a whole if they are sent."
        ),
    ),
    destroy=extend_schema(
        operation_id="deleteWorkflow",
        summary="Delete a workflow",
        description="Moves it to the trash: it is no longer listed, but its runs and their history are kept.",
    ),
    graph=extend_schema(
        operation_id="getWorkflowGraph",
        summary="Read the graph of a workflow",
        description="The nodes with their topological levels, and the edges between them.",
    ),
    ensure=extend_schema(
        operation_id="ensureWorkflow",
        summary="Find or create a workflow by its name",
        description=(
            "Creates the workflow if the caller owns none of this name (201), for an engine that starts. Otherwise "
            "returns it (200), after updating it, with a higher version, if the body differs. Missing fields keep "
            "their value. Of several workflows with this name, the oldest is used. With `only_add`, what it lacks of "
            "the nodes and edges is added, and nothing else changed: for programs that each know a part."
        ),
    ),
    duplicate=extend_schema(
        operation_id="duplicateWorkflow",
        summary="Duplicate a workflow",
        description=(
            "A workflow of the caller with the same definition. `name` defaults to a copy of the original's name."
        ),
    ),
)
class WorkflowViewSet(
    RejectIfMatchOnCreateMixin,
    IdempotencyMixin,
    PreconditionsMixin,
    LedgerView,
    RowListMixin,
    ModelViewSet[Workflow],
):
    http_method_names = METHODS
    lookup_value_converter = "uuid"
    serializer_class = WorkflowSerializer
    serializer_classes: ClassVar[dict[str, type[BaseSerializer[Any]]]] = {
        "list": WorkflowListSerializer,
        "graph": GraphSerializer,
        "duplicate": DuplicateSerializer,
        "ensure": EnsureSerializer,
    }
    filter_backends = [ListFilterBackend]
    filterset_class = WorkflowFilters
    ordering = ("name", "id")
    reads = Scope.EXECUTIONS_READ
    grants = {
        "create": (WRITE, "workflows.add_workflow"),
        "duplicate": (WRITE, "workflows.add_workflow"),
        "ensure": (WRITE, "workflows.add_workflow"),
        "update": (WRITE, "workflows.change_workflow"),
        "partial_update": (WRITE, "workflows.change_workflow"),
        "destroy": (WRITE, "workflows.delete_workflow"),
    }

    def get_queryset(self) -> Any:
        workflows = limit_to_token(Workflow.objects.visible_to(self.request.user).alive(), self.request, "id")
        if self.action == "list":
            return bounded_rows.columns(workflows)
        return workflows.with_graph() if self.action == "retrieve" else workflows

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return self.serializer_classes.get(self.action, WorkflowSerializer)

    def masked_body(self, body: object) -> Any:
        return mask_body(body)

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        self._refuse_bound()
        serializer.save(owner=self.request.user)

    def perform_destroy(self, instance: Workflow) -> None:
        instance.soft_delete()

    @action(detail=True)
    def graph(self, request: Request, pk: object) -> Response:
        """Return the nodes with their topological levels, and the edges."""
        return Response(self.get_serializer(self.get_object().graph_now()).data)

    @action(detail=False, methods=["post"])
    def ensure(self, request: Request) -> Response:
        """Return the caller's workflow of this name, created or updated if necessary."""
        row, change = self.find_or_make(request.data)
        shown = Workflow.objects.with_graph().get(pk=row.pk)
        answer = WorkflowSerializer(shown, context=self.get_serializer_context())
        return Response(answer.data, status=201 if change == "made" else 200)

    @transaction.atomic
    def find_or_make(self, body: object) -> tuple[Workflow, Literal["made", "changed", "found"]]:
        """Return the caller's workflow with the name in the body, created or changed as the body requires, and what was
        done."""
        existing = self._mine_named(body)
        serializer = EnsureSerializer(existing, data=body, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        if existing is None:
            self._refuse_bound()
            return serializer.save(owner=self.request.user), "made"
        if serializer.is_unchanged(existing):
            return existing, "found"
        self._refuse_change(self.request)
        return serializer.save(), "changed"

    @action(detail=True, methods=["post"])
    def duplicate(self, request: Request, pk: object) -> Response:
        """Create a workflow of the caller with the same definition."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        original = self.get_object()
        self._refuse_bound()
        new = original.duplicate(owner=request.user, **serializer.validated_data)
        shown = Workflow.objects.with_graph().get(pk=new.pk)
        return Response(WorkflowSerializer(shown, context=self.get_serializer_context()).data, status=201)

    def check_object_permissions(self, request: Request, obj: object) -> None:
        """Check the permissions; skip the object's for `duplicate`, which only reads the original."""
        if self.action != "duplicate":
            super().check_object_permissions(request, obj)

    def _mine_named(self, body: object) -> Workflow | None:
        """Return the caller's first workflow with the name in the body. A lock prevents concurrent creation; what is
        only added waits for those who change the workflow, and does not conflict with them."""
        if not isinstance(body, dict) or not isinstance(body.get("name"), str):
            return None  # the serializer refuses it
        name = normalize_name(body["name"])
        lock(f"workflow {self.request.user.pk} {name}")
        own = Workflow.objects.filter(owner=self.request.user.pk, name=name).alive()
        if body.get("only_add") is True:
            own = own.select_for_update(no_key=True)
        first: Workflow | None = limit_to_token(own, self.request, "id").order_by("id").first()
        return first

    def _refuse_change(self, request: Request) -> None:
        """Reject a session's user without the permission to change workflows: `ensure` itself requires only the
        permission to add."""
        _scope, permission = self.grants["update"]
        if not isinstance(request.auth, Token) and not request.user.has_perm(permission):
            self.permission_denied(request, message=f"Your account lacks the permission {permission}.")

    def _refuse_bound(self) -> None:
        if isinstance(self.request.auth, Token) and self.request.auth.bound_to:
            message = "This token is limited to specific workflows and cannot create new ones."
            self.permission_denied(self.request, message=message)
