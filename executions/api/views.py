"""Executions over HTTP. A view finds the row that the caller may see, and says the verb; the ledger decides."""

from typing import Any, ClassVar

from django.db import transaction
from django.shortcuts import get_object_or_404
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from executions import partitions
from executions.models import NodeExecution, WorkflowExecution
from tokens.api import within
from tokens.models import Scope
from workflows.api.idempotency import ReliableMixin
from workflows.api.preconditions import PreconditionsMixin
from workflows.base import parse_uuid

from .serializers import (
    CompleteSerializer,
    ExecutionLogSerializer,
    FailNodeSerializer,
    FailSerializer,
    NodeExecutionListSerializer,
    NodeExecutionSerializer,
    NothingSerializer,
    WorkflowExecutionListSerializer,
    WorkflowExecutionSerializer,
)

MAX_LINES = 10_000  # in one call; about a second's work

CHANGE_RUN = "executions.change_workflowexecution"
CHANGE_NODE = "executions.change_nodeexecution"


class CreateMixin(mixins.CreateModelMixin):
    def perform_create(self, serializer: Any) -> None:
        """A refusal by the database leaves whatever transaction is around it usable."""
        self.check_object_permissions(self.request, self.belongs_to(serializer))  # type: ignore[attr-defined]
        with transaction.atomic():
            serializer.save()

    def belongs_to(self, serializer: Any) -> Any:
        """The row that the new one will belong to: the run of the address, or what the body names."""
        return self.execution if hasattr(self, "execution") else serializer.validated_data["workflow"]


class VerbsMixin(ReliableMixin, PreconditionsMixin, GenericViewSet[Any]):
    """`serializer_classes` names the serializer of each action that does not use `serializer_class`."""

    lookup_value_converter = "uuid"
    reads = Scope.EXECUTIONS_READ
    serializer_classes: ClassVar[dict[str, type[serializers.BaseSerializer[Any]]]]

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return self.serializer_classes.get(self.action, self.serializer_class)  # type: ignore[return-value]

    def _say(self, request: Request) -> Response:
        """The verb that the action is named after, with what the body holds; the row as it is afterwards."""
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = self.get_object()
        getattr(row, self.action)(**body.validated_data)
        return Response(self.serializer_class(row, context=self.get_serializer_context()).data)  # type: ignore[misc]

    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: Any) -> Response:
        return self._say(request)

    @action(detail=True, methods=["post"])
    def complete(self, request: Request, pk: Any) -> Response:
        return self._say(request)

    @action(detail=True, methods=["post"])
    def fail(self, request: Request, pk: Any) -> Response:
        return self._say(request)

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: Any) -> Response:
        return self._say(request)

    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: Any) -> Response:
        return self._say(request)


class WorkflowExecutionViewSet(
    CreateMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, VerbsMixin
):
    serializer_class = WorkflowExecutionSerializer
    serializer_classes = {
        "list": WorkflowExecutionListSerializer,
        "start": NothingSerializer,
        "complete": CompleteSerializer,
        "fail": FailSerializer,
        "cancel": NothingSerializer,
        "retry": NothingSerializer,
    }
    ordering = ("-created_at", "-id")
    grants = {
        "create": (Scope.EXECUTIONS_REPORT, "executions.add_workflowexecution"),
        "start": (Scope.EXECUTIONS_REPORT, CHANGE_RUN),
        "complete": (Scope.EXECUTIONS_REPORT, CHANGE_RUN),
        "fail": (Scope.EXECUTIONS_REPORT, CHANGE_RUN),
        "cancel": (Scope.EXECUTIONS_CONTROL, CHANGE_RUN),
        "retry": (Scope.EXECUTIONS_CONTROL, CHANGE_RUN),
        "destroy": (Scope.EXECUTIONS_CONTROL, "executions.delete_workflowexecution"),
    }

    def get_queryset(self) -> Any:
        runs = within(WorkflowExecution.objects.visible_to(self.request.user), self.request)
        return runs.without_payload() if self.action == "list" else runs


class NodeExecutionViewSet(mixins.RetrieveModelMixin, VerbsMixin):
    serializer_class = NodeExecutionSerializer
    serializer_classes = {
        "start": NothingSerializer,
        "complete": CompleteSerializer,
        "fail": FailNodeSerializer,
        "skip": NothingSerializer,
        "cancel": NothingSerializer,
        "retry": NothingSerializer,
    }
    grants = {
        "start": (Scope.EXECUTIONS_REPORT, CHANGE_NODE),
        "complete": (Scope.EXECUTIONS_REPORT, CHANGE_NODE),
        "fail": (Scope.EXECUTIONS_REPORT, CHANGE_NODE),
        "skip": (Scope.EXECUTIONS_REPORT, CHANGE_NODE),
        "cancel": (Scope.EXECUTIONS_CONTROL, CHANGE_NODE),
        "retry": (Scope.EXECUTIONS_CONTROL, CHANGE_NODE),
    }

    def get_queryset(self) -> Any:
        nodes = NodeExecution.objects.visible_to(self.request.user).select_related("node")
        return within(nodes, self.request, "workflow_execution__workflow_id")

    @action(detail=True, methods=["post"])
    def skip(self, request: Request, pk: Any) -> Response:
        return self._say(request)


class OfExecution(ReliableMixin, CreateMixin, mixins.ListModelMixin, GenericViewSet[Any]):
    """What belongs to one run, under `executions/{execution_id}/`. A run that the caller may not see is not found."""

    reads = Scope.EXECUTIONS_READ

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        visible = within(WorkflowExecution.objects.visible_to(request.user), request)
        runs = visible.select_related("workflow").without_payload()
        self.execution = get_object_or_404(runs, pk=self.kwargs["execution_id"])

    def get_serializer_context(self) -> Any:
        return {**super().get_serializer_context(), "execution": getattr(self, "execution", None)}


class NodesOfExecutionViewSet(OfExecution):
    ordering = ("execution_order", "id")
    grants = {"create": (Scope.EXECUTIONS_REPORT, "executions.add_nodeexecution")}

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return NodeExecutionListSerializer if self.action == "list" else NodeExecutionSerializer

    def get_queryset(self) -> Any:
        return self.execution.node_executions.visible_to(self.request.user).without_payload().select_related("node")


class LogsOfExecutionViewSet(OfExecution):
    """Lines are taken after the end of the run as well: the last ones often come late."""

    serializer_class = ExecutionLogSerializer
    ordering = ("timestamp", "id")
    grants = {"create": (Scope.EXECUTIONS_REPORT, "executions.add_executionlog")}

    def get_queryset(self) -> Any:
        return self.execution.logs.visible_to(self.request.user)

    def get_serializer_context(self) -> Any:
        return {**super().get_serializer_context(), "node_executions": getattr(self, "node_executions", ())}

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        many = isinstance(request.data, list)
        if many and len(request.data) > MAX_LINES:
            raise ParseError(
                f"Expected at most {MAX_LINES} lines in one call; found {len(request.data)}. Send several calls."
            )
        self.node_executions = self._named(list(request.data) if many else [request.data])
        lines = self.get_serializer(data=request.data, many=many)
        lines.is_valid(raise_exception=True)
        named = lines.validated_data if many else [lines.validated_data]
        partitions.ensure(line["id"] for line in named if "id" in line)  # before the transaction: it may have to wait
        self.perform_create(lines)
        return Response(lines.data, status=status.HTTP_201_CREATED)

    def _named(self, lines: list[Any]) -> set[Any]:
        """The run's own of the node executions that the lines name: one query for all lines."""
        named = {parse_uuid(line.get("node_execution")) for line in lines if isinstance(line, dict)} - {None}
        return set(self.execution.node_executions.filter(pk__in=named).values_list("id", flat=True)) if named else set()
