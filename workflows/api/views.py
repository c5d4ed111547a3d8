from typing import Any

from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from tokens.api import within
from tokens.models import Scope, Token
from workflows.models import Workflow

from .idempotency import ReliableMixin
from .preconditions import PreconditionsMixin
from .serializers import WorkflowListSerializer, WorkflowSerializer

WRITE = Scope.WORKFLOWS_WRITE


class WorkflowViewSet(ReliableMixin, PreconditionsMixin, ModelViewSet[Workflow]):
    lookup_value_converter = "uuid"
    serializer_class = WorkflowSerializer
    ordering = ("name", "id")
    reads = Scope.EXECUTIONS_READ
    grants = {
        "create": (WRITE, "workflows.add_workflow"),
        "update": (WRITE, "workflows.change_workflow"),
        "partial_update": (WRITE, "workflows.change_workflow"),
        "destroy": (WRITE, "workflows.delete_workflow"),
    }

    def get_queryset(self) -> Any:
        workflows = within(Workflow.objects.visible_to(self.request.user).alive(), self.request, "id")
        return workflows if self.action == "list" else workflows.prefetch_related("nodes", "edges")

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return WorkflowListSerializer if self.action == "list" else WorkflowSerializer

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        if isinstance(self.request.auth, Token) and self.request.auth.bound_to:
            self.permission_denied(
                self.request, message="This token is bound to other workflows: it makes no new ones."
            )
        serializer.save(owner=self.request.user)

    def perform_destroy(self, instance: Workflow) -> None:
        instance.soft_delete()
