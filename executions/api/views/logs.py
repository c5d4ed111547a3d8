from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone
from drf_spectacular.utils import extend_schema_view
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from executions import absent_log_lines, ingest, log_gaps
from executions.api.filters import LogFilters, LogsOfExecutionFilters, limit_to_owner
from executions.api.idempotent_create import Content, CreateMixin
from executions.api.json_rows import listed_lines_of, log_row
from executions.api.list_querysets import lines_of_run, listed_lines
from executions.api.log_line_tokens import take_tokens
from executions.api.missing_log_lines import LogPagination, absent_lines
from executions.api.row_lookups import HAS_ABSENT_LINES, PARENT_OF_LINES
from executions.api.search_pagination import SearchedPagination
from executions.api.serializers import ExecutionLogSerializer, MissingLinesSerializer
from executions.log_gaps import MissingLines
from executions.models import ExecutionLog
from executions.querysets import ExecutionLogQuerySet, can_see
from executions.unsaved_log_lines import UnsavedLine
from ledgerkit.db.bounded_rows import RowsOf
from ledgerkit.db.models import parse_uuid
from ledgerkit.rest.parameter_names import check_names
from ledgerkit.rest.preconditions import ContentETagMixin
from ledgerkit.rest.row_lists import RowListMixin
from ledgerkit.rest.schema import extend_schema
from tokens.models import Scope
from tokens.permissions import limit_to_token

from .base import BY_TIME, WORKFLOW_OF_RUN_ROW, QueryMixin, RunChildView

MAX_LINES = 10_000  # lines in one call, which takes about a second


@extend_schema(tags=["logs"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listExecutionLogs",
        summary="List the log lines of a run",
        description=(
            "Oldest first; `ordering=-timestamp` reverses the order. `node` is a node or a node execution. `removed` "
            "and `dropped` are present if lines of the run are not there any more, or were not stored."
        ),
    ),
    create=extend_schema(
        operation_id="createExecutionLogs",
        summary="Write log lines of a run",
        description=(
            "The body is one line, or a list of up to 10,000 lines, which are stored completely or not at all. The "
            "response has the same form and order. Lines are accepted after the end of the run too. 200 if every line "
            "exists under its `id` with the same content, 409 if one has other content."
        ),
    ),
)
class LogsOfExecutionViewSet(ContentETagMixin, CreateMixin[ExecutionLog], RowListMixin, RunChildView):
    """Log lines of a run. They are accepted after its end too, because the last ones often arrive late."""

    max_rows = MAX_LINES
    serializer_class = ExecutionLogSerializer
    filterset_class = LogsOfExecutionFilters
    orderings = BY_TIME
    ordering = ("timestamp", "id")
    pagination_class = LogPagination
    grants = {"create": (Scope.EXECUTIONS_REPORT, "executions.add_executionlog")}
    parents = {"list": PARENT_OF_LINES}

    def get_queryset(self) -> ExecutionLogQuerySet | RowsOf:  # type: ignore[override]  # for the paginator alone
        """Return the lines of a list, or those that a repeated creation may find."""
        if self.lists_all("executionlog"):
            return RowsOf(ExecutionLog, lines_of_run, self.execution.pk, keeps_plan=True)
        lines = listed_lines(self.fields) if self.action == "list" else ExecutionLog.objects.all()
        return lines.filter(workflow_execution=self.execution.pk).visible_to(self.request.user)

    def get_paginated_response(self, data: object) -> Response:
        """Return a page of lines, and what is not among them because it was removed, or not stored."""
        response = super().get_paginated_response(data)
        has_any = vars(self.execution)[HAS_ABSENT_LINES]
        if has_any and can_see(self.request.user, "executionlog", self.execution.workflow.owner_id):
            response.data |= absent_lines(self.execution)
        return response

    def get_serializer_context(self) -> dict[str, object]:
        return {**super().get_serializer_context(), "node_executions": getattr(self, "node_executions", ())}

    def create(self, request: Request, *args: object, **kwargs: object) -> Response:
        many = isinstance(request.data, list)
        if many and len(request.data) > MAX_LINES:
            raise ParseError(
                f"Expected at most {MAX_LINES} lines in one call; found {len(request.data)}. Send several calls."
            )
        self.node_executions = self._attempts_of_nodes(list(request.data) if many else [request.data])
        lines = self.get_serializer(data=request.data, many=many)
        lines.is_valid(raise_exception=True)
        rows, created = self._write_lines(lines.validated_data if many else [lines.validated_data])
        data = listed_lines_of(rows) if many else log_row(vars(rows[0]))
        return Response(data, status=201 if created else 200)

    def _write_lines(self, lines: list[Content]) -> tuple[list[ExecutionLog | UnsavedLine], bool]:
        """Return the lines in their order, and whether any of them is new."""
        self.check_object_permissions(self.request, self.execution)
        for line in lines:
            if line.get("attempt", 0) is None:  # the current one
                del line["attempt"]
        existing = self.existing_rows(lines)
        while True:
            try:
                return self._insert_missing(lines, existing)
            except IntegrityError:  # a concurrent request may have stored some of these ids
                before, existing = existing, self.existing_rows(lines)
                if len(existing) == len(before):
                    raise

    def _insert_missing(
        self, lines: list[Content], existing: dict[UUID, ExecutionLog]
    ) -> tuple[list[ExecutionLog | UnsavedLine], bool]:
        run, now = self.execution.pk, timezone.now()
        missing = [self._with_attempt(line) for line in lines if line.get("id") not in existing]
        take_tokens(self.execution, self.node_executions, missing)
        new = [UnsavedLine.from_values(run, line, now) for line in missing]
        if new:
            ingest.copy_lines(ExecutionLog, new)
        if not existing:
            return list(new), bool(new)
        created = iter(new)
        return [existing[line["id"]] if line.get("id") in existing else next(created) for line in lines], bool(new)

    def _with_attempt(self, line: Content) -> Content:
        """Return the line with the current attempt of its node execution or run, unless it has one."""
        node = line.get("node_execution_id")
        current = self.execution.attempt if node is None else self.node_executions[node]
        return {"attempt": current, **line}

    def _attempts_of_nodes(self, lines: list[object]) -> dict[UUID, int]:
        """Return the attempts of those of the named node executions that belong to the run, with one query for all
        lines."""
        named = {id for text in _named_nodes(lines) if (id := parse_uuid(text))}
        return dict(self.execution.node_executions.filter(pk__in=named).values_list("id", "attempt")) if named else {}


def _named_nodes(lines: list[object]) -> list[object]:
    return [name for line in lines if isinstance(line, dict) and (name := line.get("node_execution")) is not None]


class LogGapsOfExecutionViewSet(RunChildView):
    """Numbered log lines of a run that are missing."""

    serializer_class = MissingLinesSerializer

    @extend_schema(
        tags=["logs"],
        operation_id="getMissingExecutionLogs",
        summary="List the missing log lines of a run",
        description=(
            "Lists the numbers below the highest that no line has, for each `source` that numbers its lines (`seq`, "
            "from 1). A line that is still under way is missing until it is stored; lines that retention removed are "
            "not missing."
        ),
    )
    def gaps(self, request: Request, execution_id: UUID) -> Response:
        check_names(request, ())
        sees_lines = can_see(request.user, "executionlog", self.execution.workflow.owner_id)
        missing = self._missing_lines() if sees_lines else log_gaps.NONE
        return Response(self.get_serializer(missing).data)

    def _missing_lines(self) -> MissingLines:
        return absent_log_lines.missing_lines(self.execution, absent_log_lines.removed_lines(self.execution))


@extend_schema(tags=["logs"])
@extend_schema_view(
    list=extend_schema(
        operation_id="listLogs",
        summary="List log lines across runs",
        description="Newest first, within a period of at most 31 days: `after` and `before` are required.",
    ),
)
class LogViewSet(RowListMixin, QueryMixin):
    """Log lines across runs."""

    serializer_class = ExecutionLogSerializer
    filterset_class = LogFilters
    pagination_class = SearchedPagination
    orderings = BY_TIME
    ordering = ("-timestamp", "-id")

    def get_queryset(self) -> ExecutionLogQuerySet:
        return limit_to_token(
            limit_to_owner(listed_lines(self.fields), self.request.user, WORKFLOW_OF_RUN_ROW),
            self.request,
            WORKFLOW_OF_RUN_ROW,
        )
