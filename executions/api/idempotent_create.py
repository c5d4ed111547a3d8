"""Creation of rows that a client may repeat. If a row with the same id and content exists, it is returned and not
created again, so a client that chose the id can repeat the request without an Idempotency-Key."""

from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from django.db import IntegrityError, models
from django.db.models import Model
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, Serializer

from executions import log_preparation, masking
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution

type Row = WorkflowExecution | NodeExecution | ExecutionLog
type Content = dict[str, Any]  # of a body, by field, as the serializer has checked it

# Set by the server if omitted, so a repeated request cannot be compared on these: the time of a row is that of its
# call, the order of a node execution that of its node in the graph, the attempt of a line that of its node.
# INSTRUCTIONS are no fields of the row.
INSTRUCTIONS = {"start", "token", "run_token"}
SERVER_DEFAULTS = {"id", "at", "timestamp", "execution_order", "attempt"} | INSTRUCTIONS


class IdTaken(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "A row with this id exists and has other content: choose another id, or send its content."
    default_code = "exists_with_other_content"


class CreateMixin[R: WorkflowExecution | NodeExecution | ExecutionLog]:
    """Mixin that creates rows for a viewset."""

    def create(self, request: Request, *args: object, **kwargs: object) -> Response:
        view: Any = self
        serializer = view.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        view.check_object_permissions(request, self.permission_target(serializer.validated_data))
        return self._existing_response(serializer) or self._create(serializer)

    def save(self, serializer: BaseSerializer[R]) -> None:
        """Save in the transaction that the serializer's create() begins, so that an error breaks no outer one."""
        serializer.save()

    def on_existing(self, row: R, content: Content) -> None:
        """Handle a repeated request for a row that exists. Does nothing by default."""

    def _create(self, serializer: BaseSerializer[R]) -> Response:
        try:
            self.save(serializer)
        except IntegrityError:  # a concurrent request may have created this row
            if (again := self._existing_response(serializer)) is None:
                raise
            return again
        return Response(serializer.data, status=status.HTTP_201_CREATED)

    def _existing_response(self, serializer: BaseSerializer[R]) -> Response | None:
        """Return the response if the row exists, else None."""
        content, view = serializer.validated_data, cast("Any", self)
        for row in self.existing_rows([content]).values():
            self.on_existing(row, content)
            return Response(view.get_serializer(row).data)
        return None

    def permission_target(self, content: Content) -> object:
        """Return the object whose permission is checked: the run in the path, or the workflow in the body."""
        return self.execution if hasattr(self, "execution") else content["workflow"]

    def existing_rows(self, contents: list[Content]) -> dict[UUID, R]:
        """Return the rows that exist, by id. Raises IdTaken if one has other content."""
        view: Any = self
        chosen = {content["id"]: content for content in contents if "id" in content}
        found = {row.pk: row for row in view.get_queryset().filter(pk__in=chosen)} if chosen else {}
        left_out = _defaults(view.get_serializer(), view.get_queryset().model) if found else {}
        if any(not _matches(row, left_out | _stored_row(chosen[pk])) for pk, row in found.items()):
            raise IdTaken
        return found


def _stored_row(content: Content) -> Content:
    """Return the fields that are stored, without instructions."""
    return {name: value for name, value in content.items() if name not in INSTRUCTIONS}


def _defaults(serializer: Serializer[Model], model: Any) -> dict[str, object]:
    """Return the values of omitted fields that have a constant default."""
    fields = {name: field for name, field in serializer.fields.items() if name not in SERVER_DEFAULTS}
    optional = [field.source for field in fields.values() if not (field.read_only or field.required)]
    return {str(name): model._meta.get_field(name).get_default() for name in optional}


def _matches(row: Row, content: Content) -> bool:
    texts = {name: content[name] for name in masking.maskable_fields(row._meta.model) & set(content)}
    pairs = log_preparation.as_stored(row, texts) if isinstance(row, ExecutionLog) else masking.as_stored(row, texts)
    return any(all(_holds(there, name, value) for name, value in (content | stored).items()) for there, stored in pairs)


def _holds(row: Model, name: str, value: object) -> bool:
    if isinstance(value, models.Model):
        return bool(getattr(row, f"{name.removesuffix('_id')}_id") == value.pk)
    found = getattr(row, name)
    if name == "metadata" and isinstance(value, dict) and "traceparent" not in value:
        found = {key: item for key, item in found.items() if key != "traceparent"}  # of the first request's header
    return bool(_as_jsonb(found) == _as_jsonb(value))


def _as_jsonb(value: object) -> object:
    """Return a value that compares like jsonb in PostgreSQL: 1 and 1.0 are equal, true is not a number."""
    match value:
        case dict():
            return {name: _as_jsonb(item) for name, item in value.items()}
        case list():
            return [_as_jsonb(item) for item in value]
        case bool():
            return bool, value
        case int() | float():
            return Decimal(repr(value) if isinstance(value, float) else value)
        case _:
            return value
