"""What can go wrong with a definition.

StaleObject     the row is newer than the object (also a ValueError, and Django's ObjectNotUpdated)
HasHistory      a definition that was run cannot be deleted (also Django's ProtectedError)
CyclicGraph     the edges close a circle (also a ValueError)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.core.exceptions import ObjectNotUpdated
from django.db import IntegrityError, models, transaction
from psycopg.errors import ForeignKeyViolation, RestrictViolation


class StaleObject(ObjectNotUpdated, ValueError):
    """The row was changed or deleted since the object was read: read it again and repeat the change."""


class HasHistory(models.ProtectedError):
    """A workflow or node that executions point at is part of the history: deactivate it or soft-delete it instead."""

    def __str__(self) -> str:
        return str(self.args[0])

    @classmethod
    @contextmanager
    def translated(cls, model: type[models.Model]) -> Iterator[None]:
        """Turns the database's refusal to delete rows of `model` into this, the transaction around it unharmed."""
        try:
            with transaction.atomic():
                yield
        except IntegrityError as error:
            if not isinstance(error.__cause__, ForeignKeyViolation | RestrictViolation):
                raise
            raise cls(
                f"This {model._meta.verbose_name} has been executed and its history is kept: it cannot be deleted. "
                "Deactivate the workflow, or soft-delete it, instead.",
                set(),
            ) from error


def violated(error: IntegrityError) -> str | None:
    """The name of the constraint that the database held against a statement."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return diagnosis.constraint_name if diagnosis else None


class CyclicGraph(ValueError):
    """The edges close a circle; `cycle` holds the names or ids along it, the first one repeated at the end."""

    def __init__(self, cycle: Sequence[object]) -> None:
        self.cycle = list(cycle)
        super().__init__("The edges close a circle: " + " → ".join(map(str, cycle)) + ". Remove one of them.")
