"""Executions over HTTP. A view finds the row that the caller may see, and says the verb; the ledger decides."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import JSONField, TextField
from django.shortcuts import get_object_or_404
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from executions import keys, partitions
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from tokens.api import within
from tokens.models import Scope
from workflows.api.idempotency import ReliableMixin
from workflows.api.preconditions import PreconditionsMixin
from workflows.base import parse_uuid

from .creation import CreateMixin
from .errors import BadQuery
from .filters import (
    PAGING,
    LogFilters,
    LogsOfExecutionFilters,
    NodeExecutionFilters,
    QueryFilters,
    Several,
    WorkflowExecutionFilters,
    check_names,
    of_owner,
    words,
)
from .serializers import (
    CompleteSerializer,
    ExecutionLogSerializer,
    FailNodeSerializer,
    FailSerializer,
    NodeExecutionAttemptListSerializer,
    NodeExecutionAttemptSerializer,
    NodeExecutionListSerializer,
    NodeExecutionSerializer,
    NothingSerializer,
    WorkflowExecutionAttemptListSerializer,
    WorkflowExecutionAttemptSerializer,
    WorkflowExecutionListSerializer,
    WorkflowExecutionSerializer,
)

MAX_LINES = 10_000  # in one call; about a second's work
EXPANDED_LINES = 200
NEWEST = ("-created_at", "-id")
BY_TIME = {"timestamp": ("timestamp", "id")}
KEYS = {"by_start": keys.STARTED, "by_duration": keys.DURATION}

OF_RUN = "workflow_execution__workflow_id"  # the way from what belongs to a run to its workflow
CHANGE_RUN = "executions.change_workflowexecution"
CHANGE_NODE = "executions.change_nodeexecution"


class QueryMixin(GenericViewSet[Any]):
    """What a GET may ask for: `filterset_class`, an order out of `orderings`, `?fields=` and, of one row, `?expand=`.

    `orderings` names keysets, `ordering` is the one without a wish.
    """

    filter_backends = [QueryFilters]
    reads = Scope.EXECUTIONS_READ
    filterset_class: Any = None
    orderings: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    expandable: ClassVar[tuple[str, ...]] = ()
    ordering: tuple[str, ...] = ()
    fields: list[str] | None = None
    expand: Collection[str] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action in {"list", "retrieve"}:
            self._read_query(request)

    def _read_query(self, request: Request) -> None:
        filters = getattr(self.filterset_class, "base_filters", {}) if self.action == "list" else {}
        several = [name for name, offered in filters.items() if isinstance(offered, Several)]
        check_names(request, ["fields", *self._own_names(), *filters], several)
        allowed = self.get_serializer_class().Meta.fields  # type: ignore[attr-defined]
        self.fields = words(request, "fields", allowed)
        self.expand = words(request, "expand", self.expandable) or ()
        if wish := request.query_params.get("ordering"):
            self.ordering = self._keyset(wish)

    def _own_names(self) -> list[str]:
        if self.action == "list":
            return [*PAGING, "ordering"] if self.orderings else [*PAGING]
        return ["expand"] if self.expandable else []

    def _keyset(self, wish: str) -> tuple[str, ...]:
        keyset = self.orderings.get(wish.removeprefix("-"))
        if keyset is None:
            allowed = ", ".join(f"{name}, -{name}" for name in self.orderings)
            raise BadQuery("ordering", f"“{wish}” is not known here. Known are: {allowed}.")
        return tuple(f"-{name}" for name in keyset) if wish.startswith("-") else keyset

    def filter_queryset(self, queryset: Any) -> Any:
        rows = super().filter_queryset(queryset)
        if self.action not in {"list", "retrieve"}:
            return rows
        ordering = {name.removeprefix("-") for name in self.ordering}
        return self._lean(rows.annotate(**{name: key for name, key in KEYS.items() if name in ordering}))

    def _lean(self, rows: Any) -> Any:
        """Payloads that `?fields=` leaves out are not read either."""
        if self.fields is None:
            return rows
        payloads = [
            field.name for field in rows.model._meta.concrete_fields if isinstance(field, JSONField | TextField)
        ]
        return rows.defer(*(name for name in payloads if name not in self.fields))

    def get_serializer_context(self) -> Any:
        return {**super().get_serializer_context(), "fields": self.fields}


class VerbsMixin(ReliableMixin, PreconditionsMixin, QueryMixin):
    """`serializer_classes` names the serializer of each action that does not use `serializer_class`."""

    lookup_value_converter = "uuid"
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
    filterset_class = WorkflowExecutionFilters
    orderings = {"created": ("created_at", "id"), "started": ("by_start", "id"), "duration": ("by_duration", "id")}
    ordering = NEWEST
    expandable = ("nodes", "logs")
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
        return of_owner(runs.without_payload(), self.request.user, "workflow") if self.action == "list" else runs

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """With `?expand=nodes,logs` also every node, and the newest lines, oldest of them first."""
        run = self.get_object()
        expanded = {name: getattr(self, f"_{name}")(run) for name in self.expand}
        return Response({**self.get_serializer(run).data, **expanded})

    def _nodes(self, run: WorkflowExecution) -> Any:
        return NodeExecutionListSerializer(_listed(run.node_executions.visible_to(self.request.user)), many=True).data

    def _logs(self, run: WorkflowExecution) -> Any:
        return ExecutionLogSerializer(run.logs.visible_to(self.request.user).newest(EXPANDED_LINES), many=True).data


class NodeExecutionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, VerbsMixin):
    serializer_class = NodeExecutionSerializer
    serializer_classes = {
        "list": NodeExecutionListSerializer,
        "start": NothingSerializer,
        "complete": CompleteSerializer,
        "fail": FailNodeSerializer,
        "skip": NothingSerializer,
        "cancel": NothingSerializer,
        "retry": NothingSerializer,
    }
    filterset_class = NodeExecutionFilters
    orderings = {"created": ("created_at", "id")}
    ordering = NEWEST
    grants = {
        "start": (Scope.EXECUTIONS_REPORT, CHANGE_NODE),
        "complete": (Scope.EXECUTIONS_REPORT, CHANGE_NODE),
        "fail": (Scope.EXECUTIONS_REPORT, CHANGE_NODE),
        "skip": (Scope.EXECUTIONS_REPORT, CHANGE_NODE),
        "cancel": (Scope.EXECUTIONS_CONTROL, CHANGE_NODE),
        "retry": (Scope.EXECUTIONS_CONTROL, CHANGE_NODE),
    }

    def get_queryset(self) -> Any:
        visible = NodeExecution.objects.visible_to(self.request.user)
        nodes = within(visible, self.request, OF_RUN)
        if self.action == "list":
            return of_owner(_listed(nodes), self.request.user, "node")
        return nodes.select_related("node")

    @action(detail=True, methods=["post"])
    def skip(self, request: Request, pk: Any) -> Response:
        return self._say(request)


class OfExecution(ReliableMixin, QueryMixin):
    """What belongs to one run, under `executions/{execution_id}/`. A run that the caller may not see is not found."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        visible = within(WorkflowExecution.objects.visible_to(request.user), request)
        runs = visible.select_related("workflow").without_payload()
        self.execution = get_object_or_404(runs, pk=self.kwargs["execution_id"])

    def get_serializer_context(self) -> Any:
        return {**super().get_serializer_context(), "execution": getattr(self, "execution", None)}


class NodesOfExecutionViewSet(CreateMixin, mixins.ListModelMixin, OfExecution):
    ordering = ("execution_order", "id")
    grants = {"create": (Scope.EXECUTIONS_REPORT, "executions.add_nodeexecution")}

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return NodeExecutionListSerializer if self.action == "list" else NodeExecutionSerializer

    def get_queryset(self) -> Any:
        return _listed(self.execution.node_executions.visible_to(self.request.user))


class LogsOfExecutionViewSet(CreateMixin, mixins.ListModelMixin, OfExecution):
    """Lines are taken after the end of the run as well: the last ones often come late."""

    serializer_class = ExecutionLogSerializer
    filterset_class = LogsOfExecutionFilters
    orderings = BY_TIME
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
        rows, made = self._written(lines.validated_data if many else [lines.validated_data])
        answer = self.get_serializer(rows, many=True).data
        return Response(answer if many else answer[0], status=201 if made else 200)

    def _written(self, lines: list[dict[str, Any]]) -> tuple[list[ExecutionLog], bool]:
        """The lines in their order, and whether any of them was not there before."""
        self.check_object_permissions(self.request, self.execution)
        there = self.there(lines)
        new = [ExecutionLog(workflow_execution=self.execution, **line) for line in lines if line.get("id") not in there]
        partitions.ensure(line.id for line in new)  # before the transaction: it may have to wait
        with transaction.atomic():
            made = iter(ExecutionLog.objects.bulk_create(new))
        return [there[line["id"]] if line.get("id") in there else next(made) for line in lines], bool(new)

    def _named(self, lines: list[Any]) -> set[Any]:
        """The run's own of the node executions that the lines name: one query for all lines."""
        named = {parse_uuid(line.get("node_execution")) for line in lines if isinstance(line, dict)} - {None}
        return set(self.execution.node_executions.filter(pk__in=named).values_list("id", flat=True)) if named else set()


class LogViewSet(mixins.ListModelMixin, QueryMixin):
    """Lines across runs."""

    serializer_class = ExecutionLogSerializer
    filterset_class = LogFilters
    orderings = BY_TIME
    ordering = ("-timestamp", "-id")

    def get_queryset(self) -> Any:
        lines = within(ExecutionLog.objects.visible_to(self.request.user), self.request, OF_RUN)
        return of_owner(lines, self.request.user, "workflow_execution__workflow")


class AttemptsMixin(mixins.ListModelMixin, mixins.RetrieveModelMixin, QueryMixin):
    """What a row was before its retries, by number; the try that counts now is the row itself."""

    lookup_field = "number"
    lookup_value_converter = "int"
    ordering = ("number",)
    list_class: type[serializers.BaseSerializer[Any]]

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return self.list_class if self.action == "list" else self.serializer_class  # type: ignore[return-value]

    def attempts_of(self, row: Any) -> Any:
        payloads = {"output_data", "error_traceback"} & {field.name for field in row.attempts.model._meta.fields}
        return row.attempts.defer(*payloads) if self.action == "list" else row.attempts.all()


class AttemptsOfExecutionViewSet(AttemptsMixin, OfExecution):
    serializer_class = WorkflowExecutionAttemptSerializer
    list_class = WorkflowExecutionAttemptListSerializer

    def get_queryset(self) -> Any:
        return self.attempts_of(self.execution)


class AttemptsOfNodeExecutionViewSet(AttemptsMixin):
    serializer_class = NodeExecutionAttemptSerializer
    list_class = NodeExecutionAttemptListSerializer

    def get_queryset(self) -> Any:
        nodes = within(NodeExecution.objects.visible_to(self.request.user), self.request, OF_RUN).without_payload()
        return self.attempts_of(get_object_or_404(nodes, pk=self.kwargs["node_execution_id"]))


def _listed(nodes: Any) -> Any:
    """Node executions with what a list shows of their nodes: neither payloads nor the node's own documents."""
    documents = [f"node__{name}" for name in ("config", "input_schema", "output_schema")]
    return nodes.select_related("node").without_payload().defer(*documents)
