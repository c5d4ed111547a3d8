from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema_view
from rest_framework import mixins, serializers

from executions import error_excerpts
from executions.api.attempt_serializers import (
    NodeExecutionAttemptListSerializer,
    NodeExecutionAttemptSerializer,
    WorkflowExecutionAttemptListSerializer,
    WorkflowExecutionAttemptSerializer,
)
from executions.api.list_querysets import columns, shows_errors
from executions.models import NodeExecution, WorkflowExecution
from executions.models.attempt import Attempt
from ledgerkit.rest.preconditions import ContentETagMixin
from ledgerkit.rest.row_lists import RowListMixin
from ledgerkit.rest.schema import extend_schema
from tokens.permissions import limit_to_token

from .base import WORKFLOW_OF_RUN_ROW, QueryMixin, RunChildView


class AttemptsMixin(ContentETagMixin, RowListMixin, mixins.RetrieveModelMixin, QueryMixin):
    """Earlier attempts of a row, by number; the current attempt is the row itself."""

    lookup_field = "number"
    lookup_value_converter = "int"
    ordering = ("number",)
    list_class: type[serializers.BaseSerializer[Attempt]]

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Attempt]]:
        return self.list_class if self.action == "list" else self.serializer_class  # type: ignore[return-value]  # both are serializers; the stubs want one exact class

    def attempts_of(self, row: WorkflowExecution | NodeExecution) -> QuerySet[Attempt]:
        rows: QuerySet[Attempt] = row.attempts.all()
        payloads = {"output_data", "error_traceback"} & {field.name for field in rows.model._meta.fields}
        if self.action != "list":
            return rows
        heads = error_excerpts.with_heads(rows.defer(*payloads), wanted=shows_errors(self.fields))
        return columns(heads, self.fields)


@extend_schema(tags=["executions"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listExecutionAttempts",
        summary="List earlier attempts of a run",
        description="The state of the run before each retry; the current attempt is the run itself.",
    ),
    retrieve=extend_schema(
        operation_id="getExecutionAttempt",
        summary="Read an earlier attempt of a run",
        description="Attempts are numbered from 1.",
    ),
)
class AttemptsOfExecutionViewSet(AttemptsMixin, RunChildView):
    serializer_class = WorkflowExecutionAttemptSerializer
    list_class = WorkflowExecutionAttemptListSerializer

    def get_queryset(self) -> QuerySet[Attempt]:
        return self.attempts_of(self.execution)


@extend_schema(tags=["node executions"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listNodeExecutionAttempts",
        summary="List earlier attempts of a node execution",
        description="Lists the states before each retry; the current attempt is the node execution itself.",
    ),
    retrieve=extend_schema(
        operation_id="getNodeExecutionAttempt",
        summary="Read an earlier attempt of a node execution",
        description="Attempts are numbered from 1.",
    ),
)
class AttemptsOfNodeExecutionViewSet(AttemptsMixin):
    serializer_class = NodeExecutionAttemptSerializer
    list_class = NodeExecutionAttemptListSerializer

    def get_queryset(self) -> QuerySet[Attempt]:
        nodes = limit_to_token(
            NodeExecution.objects.visible_to(self.request.user), self.request, WORKFLOW_OF_RUN_ROW
        ).without_payload()
        return self.attempts_of(get_object_or_404(nodes, pk=self.kwargs["node_execution_id"]))
