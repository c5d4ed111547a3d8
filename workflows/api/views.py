from typing import Any, ClassVar

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from tokens.api import within
from tokens.models import Scope, Token
from workflows.models import Workflow

from .idempotency import ReliableMixin
from .methods import METHODS
from .preconditions import NewRowsMixin, PreconditionsMixin
from .serializers import DuplicateSerializer, GraphSerializer, WorkflowListSerializer, WorkflowSerializer

WRITE = Scope.WORKFLOWS_WRITE


class WorkflowViewSet(NewRowsMixin, ReliableMixin, PreconditionsMixin, ModelViewSet[Workflow]):
    http_method_names = METHODS
    lookup_value_converter = "uuid"
    serializer_class = WorkflowSerializer
    serializer_classes: ClassVar[dict[str, type[BaseSerializer[Any]]]] = {
        "list": WorkflowListSerializer,
        "graph": GraphSerializer,
        "duplicate": DuplicateSerializer,
    }
    ordering = ("name", "id")
    reads = Scope.EXECUTIONS_READ
    grants = {
        "create": (WRITE, "workflows.add_workflow"),
        "duplicate": (WRITE, "workflows.add_workflow"),
        "update": (WRITE, "workflows.change_workflow"),
        "partial_update": (WRITE, "workflows.change_workflow"),
        "destroy": (WRITE, "workflows.delete_workflow"),
    }

    def get_queryset(self) -> Any:
        workflows = within(Workflow.objects.visible_to(self.request.user).alive(), self.request, "id")
        return workflows.with_graph() if self.action == "retrieve" else workflows

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return self.serializer_classes.get(self.action, WorkflowSerializer)

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        self._refuse_bound()
        serializer.save(owner=self.request.user)

    def perform_destroy(self, instance: Workflow) -> None:
        instance.soft_delete()

    @action(detail=True)
    def graph(self, request: Request, pk: Any) -> Response:
        """The nodes with their topological levels, and the edges between them."""
        return Response(self.get_serializer(self.get_object().graph_now()).data)

    @action(detail=True, methods=["post"])
    def duplicate(self, request: Request, pk: Any) -> Response:
        """A workflow of the caller's own, of the same definition."""
        wish = self.get_serializer(data=request.data)
        wish.is_valid(raise_exception=True)
        original = self.get_object()
        self._refuse_bound()
        new = original.duplicate(owner=request.user, **wish.validated_data)
        shown = Workflow.objects.with_graph().get(pk=new.pk)
        return Response(WorkflowSerializer(shown, context=self.get_serializer_context()).data, status=201)

    def check_object_permissions(self, request: Request, obj: Any) -> None:
        """A duplicate only reads the original: who may see it and make workflows may make this one."""
        if self.action != "duplicate":
            super().check_object_permissions(request, obj)

    def _refuse_bound(self) -> None:
        if isinstance(self.request.auth, Token) and self.request.auth.bound_to:
            self.permission_denied(
                self.request, message="This token is bound to other workflows: it makes no new ones."
            )
