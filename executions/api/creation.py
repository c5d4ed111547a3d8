"""New rows over HTTP. One that is there already, under its id and with the same content, is answered and not made
again: a caller that chose the id may repeat the request without a key."""

from typing import Any
from uuid import UUID

from django.db import models, transaction
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response

from executions import lines, vault
from executions.models import ExecutionLog


class OtherContent(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "A row with this id exists and has other content: choose another id, or send its content."
    default_code = "exists_with_other_content"


class CreateMixin:
    """For a viewset; `belongs_to` tells whose permission counts."""

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        view: Any = self
        serializer = view.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        view.check_object_permissions(request, self.belongs_to(serializer.validated_data))
        if there := self.there([serializer.validated_data]):
            return Response(view.get_serializer(next(iter(there.values()))).data)
        self.save(serializer)
        return Response(serializer.data, status=status.HTTP_201_CREATED)

    def save(self, serializer: Any) -> None:
        """A refusal by the database leaves whatever transaction is around it usable."""
        with transaction.atomic():
            serializer.save()

    def belongs_to(self, content: Any) -> Any:
        """The row that the new one will belong to: the run of the address, or what the body names."""
        return self.execution if hasattr(self, "execution") else content["workflow"]

    def there(self, contents: list[dict[str, Any]]) -> dict[UUID, Any]:
        """Of the rows to be made those that are there, by id. Raises OtherContent where one differs."""
        chosen = {content["id"]: _stored(content) for content in contents if "id" in content}
        view: Any = self
        found = {row.pk: row for row in view.get_queryset().filter(pk__in=chosen)} if chosen else {}
        if any(not _is_made_of(row, chosen[pk]) for pk, row in found.items()):
            raise OtherContent
        return found


def _stored(content: dict[str, Any]) -> dict[str, Any]:
    """Without what a request says to do with the new row: one that is there is answered as it is."""
    return {name: value for name, value in content.items() if name != "start"}


def _is_made_of(row: Any, content: dict[str, Any]) -> bool:
    texts = {name: content[name] for name in vault.guarded(row._meta.model) & set(content)}
    as_stored = lines.as_stored if isinstance(row, ExecutionLog) else vault.as_stored
    return any(
        all(_holds(there, name, value) for name, value in (content | stored).items())
        for there, stored in as_stored(row, texts)
    )


def _holds(row: Any, name: str, value: Any) -> bool:
    if isinstance(value, models.Model):
        return bool(getattr(row, f"{name.removesuffix('_id')}_id") == value.pk)
    return bool(getattr(row, name) == value)
