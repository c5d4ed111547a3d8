from typing import Any

from django.db import IntegrityError
from drf_spectacular.utils import extend_schema_view
from rest_framework import mixins
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from executions import ingest
from executions.api.filters import LogFilters, LogsOfExecutionFilters, limit_to_owner
from executions.api.idempotent_create import CreateMixin
from executions.api.rows import log_row
from executions.api.serializers import ExecutionLogSerializer
from executions.models import ExecutionLog
from ledgerkit.db.models import parse_uuid
from ledgerkit.rest.preconditions import ContentETagMixin
from ledgerkit.rest.schema import extend_schema
from tokens.models import Scope
from tokens.permissions import limit_to_token

from .base import BY_TIME, OF_RUN, QueryMixin, RunChildView

MAX_LINES = 10_000  # in one call; about a second's work


@extend_schema(tags=["logs"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listExecutionLogs",
        summary="List the log lines of a run",
        description="Oldest first; `ordering=-timestamp` turns it round. `node` is a node or a node execution.",
    ),
    create=extend_schema(
        operation_id="createExecutionLogs",
        summary="Write log lines of a run",
        description=(
            "One line, answered with one; or a list of up to 10,000, answered with a list in the same order and "
            "stored as a whole or not at all. Taken after the end of the run as well. 200 where every line was "
            "there already under its `id` and with the same content, 409 where one has other content."
        ),
    ),
)
class LogsOfExecutionViewSet(ContentETagMixin, CreateMixin, mixins.ListModelMixin, RunChildView):
    """Lines are taken after the end of the run as well: the last ones often come late."""

    max_rows = MAX_LINES
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
        self.node_executions = self._node_names(list(request.data) if many else [request.data])
        lines = self.get_serializer(data=request.data, many=many)
        lines.is_valid(raise_exception=True)
        rows, made = self._written(lines.validated_data if many else [lines.validated_data])
        answer = [log_row(row) for row in rows]
        return Response(answer if many else answer[0], status=201 if made else 200)

    def _written(self, lines: list[dict[str, Any]]) -> tuple[list[ExecutionLog], bool]:
        """The lines in their order, and whether any of them was not there before."""
        self.check_object_permissions(self.request, self.execution)
        there = self.there(lines)
        while True:
            try:
                return self._with_new(lines, there)
            except IntegrityError:  # somebody may have made some of them a moment ago, under their ids
                before, there = there, self.there(lines)
                if len(there) == len(before):
                    raise

    def _with_new(self, lines: list[dict[str, Any]], there: dict[Any, Any]) -> tuple[list[ExecutionLog], bool]:
        new = [ExecutionLog(workflow_execution=self.execution, **line) for line in lines if line.get("id") not in there]
        made = iter(ingest.write_lines(new))
        return [there[line["id"]] if line.get("id") in there else next(made) for line in lines], bool(new)

    def _node_names(self, lines: list[Any]) -> set[Any]:
        """The run's own of the node executions that the lines name: one query for all lines."""
        named = {parse_uuid(line.get("node_execution")) for line in lines if isinstance(line, dict)} - {None}
        return set(self.execution.node_executions.filter(pk__in=named).values_list("id", flat=True)) if named else set()


@extend_schema(tags=["logs"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listLogs",
        summary="List log lines across runs",
        description="Newest first, within a period of at most 31 days: `after` and `before` are required.",
    ),
)
class LogViewSet(mixins.ListModelMixin, QueryMixin):
    """Lines across runs."""

    serializer_class = ExecutionLogSerializer
    filterset_class = LogFilters
    orderings = BY_TIME
    ordering = ("-timestamp", "-id")

    def get_queryset(self) -> Any:
        return limit_to_token(
            limit_to_owner(ExecutionLog.objects.all(), self.request.user, OF_RUN), self.request, OF_RUN
        )
