from typing import Any

from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from tokens.models import Scope
from workflows.models import Workflow

from .serializers import WorkflowListSerializer, WorkflowSerializer

WRITE = Scope.WORKFLOWS_WRITE


class WorkflowViewSet(ModelViewSet[Workflow]):
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
        workflows = Workflow.objects.visible_to(self.request.user).alive()
        return workflows if self.action == "list" else workflows.prefetch_related("nodes", "edges")

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return WorkflowListSerializer if self.action == "list" else WorkflowSerializer

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        serializer.save(owner=self.request.user)

    def perform_destroy(self, instance: Workflow) -> None:
        instance.soft_delete()
