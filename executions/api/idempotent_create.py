"""New rows over HTTP. One that is there already, under its id and with the same content, is answered and not made
again: a caller that chose the id may repeat the request without a key."""

from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from django.db import IntegrityError, models, transaction
from django.db.models import Model
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response

from executions import log_messages, masking
from executions.models import ExecutionLog

# Not compared where it is left out: what it was then nobody can say again. A line without a time got that of its call,
# a node execution without a place that of its node in the graph; and `start` is what to do, and of no row.
UNTOLD = {"id", "start", "timestamp", "execution_order"}


class IdTaken(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "A row with this id exists and has other content: choose another id, or send its content."
    default_code = "exists_with_other_content"


class CreateMixin:
    """Mixin that creates rows for a viewset; `belongs_to` returns the row whose permission counts."""

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        view: Any = self
        serializer = view.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        view.check_object_permissions(request, self.belongs_to(serializer.validated_data))
        return self._again(serializer) or self._made(serializer)

    def save(self, serializer: Any) -> None:
        """A refusal by the database leaves whatever transaction is around it usable."""
        with transaction.atomic():
            serializer.save()

    def found(self, row: Any, content: dict[str, Any]) -> None:
        """Handle a request for a row that exists. Does nothing unless a view overrides it."""

    def _made(self, serializer: Any) -> Response:
        try:
            self.save(serializer)
        except IntegrityError:  # which constraint spoke does not tell whether somebody has just made this very row
            if (again := self._again(serializer)) is None:
                raise
            return again
        return Response(serializer.data, status=status.HTTP_201_CREATED)

    def _again(self, serializer: Any) -> Response | None:
        """The answer where the row is there already."""
        content, view = serializer.validated_data, cast("Any", self)
        for row in self.there([content]).values():
            self.found(row, content)
            return Response(view.get_serializer(row).data)
        return None

    def belongs_to(self, content: Any) -> Any:
        """The row that the new one will belong to: the run of the address, or what the body names."""
        return self.execution if hasattr(self, "execution") else content["workflow"]

    def there(self, contents: list[dict[str, Any]]) -> dict[UUID, Any]:
        """Return the rows that exist already, by id. Raises IdTaken where one differs."""
        view: Any = self
        chosen = {content["id"]: content for content in contents if "id" in content}
        found = {row.pk: row for row in view.get_queryset().filter(pk__in=chosen)} if chosen else {}
        left_out = _defaults(view.get_serializer(), view.get_queryset().model) if found else {}
        if any(not _matches(row, left_out | _stored_row(chosen[pk])) for pk, row in found.items()):
            raise IdTaken
        return found


def _stored_row(content: dict[str, object]) -> dict[str, object]:
    """Return the fields that are stored, without those that only say what to do with the new row."""
    return {name: value for name, value in content.items() if name != "start"}


def _defaults(serializer: Any, model: Any) -> dict[str, object]:
    """Return the values of omitted fields, of those whose default is always the same."""
    fields = {name: field for name, field in serializer.fields.items() if name not in UNTOLD}
    optional = [field.source for field in fields.values() if not (field.read_only or field.required)]
    return {name: model._meta.get_field(name).get_default() for name in optional}


def _matches(row: Model, content: dict[str, object]) -> bool:
    texts = {name: content[name] for name in masking.maskable_fields(row._meta.model) & set(content)}
    as_stored = log_messages.as_stored if isinstance(row, ExecutionLog) else masking.as_stored
    return any(
        all(_holds(there, name, value) for name, value in (content | stored).items())
        for there, stored in as_stored(row, texts)
    )


def _holds(row: Model, name: str, value: object) -> bool:
    if isinstance(value, models.Model):
        return bool(getattr(row, f"{name.removesuffix('_id')}_id") == value.pk)
    return bool(_as_jsonb(getattr(row, name)) == _as_jsonb(value))


def _as_jsonb(value: object) -> object:
    """Return a value that compares as PostgreSQL's jsonb does: 1 and 1.0 are equal, as it compares digits; true is no
    number."""
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
