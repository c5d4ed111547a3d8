"""The rows that tokens can be bound to. Their app registers the model when it is ready."""

from typing import Any
from uuid import UUID

from django.db.models import Model

_models: list[Any] = []


def register(model: type[Model]) -> None:
    """Make rows of this model bindable. Its manager needs `visible_to(user).alive()`."""
    _models[:] = [model]


def visible_rows(user: object) -> object:
    """Return the rows that the user may bind a token to; None where no model is registered."""
    return _models[0].objects.visible_to(user).alive() if _models else None


def missing(ids: list[UUID]) -> set[UUID]:
    """Return ids that match no row."""
    rows = _models[0].objects.filter(pk__in=ids).values_list("pk", flat=True) if _models else ()
    return set(ids) - set(rows)
