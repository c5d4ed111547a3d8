"""What can go wrong with a definition.

Each says the same twice: `str(error)` in English, as programs and logs read it, `error.sentence` in the language of the
page that shows it.

StaleObject     the row is newer than the object (also a ValueError, and Django's ObjectNotUpdated)
HasHistory      a definition that was run cannot be deleted (also Django's ProtectedError)
CyclicGraph     the edges close a circle (also a ValueError)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, models, transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from psycopg.errors import ForeignKeyViolation, RestrictViolation

from ledgerkit.db.exceptions import StaleObject, in_english

__all__ = ["CyclicGraph", "HasHistory", "StaleObject"]

EXECUTED = _(
    "This {kind} has been executed and its history is kept: it cannot be deleted. "
    "Deactivate the workflow, or soft-delete it, instead."
)
NAMED = 30  # nodes of a circle, in its sentence
CIRCLE = _("The edges close a circle: {cycle}. Remove one of them.")


class HasHistory(models.ProtectedError):
    """A workflow or node that executions point at is part of the history: deactivate it or soft-delete it instead."""

    def __init__(self, sentence: Any) -> None:
        self.sentence = sentence
        super().__init__(in_english(sentence), set())

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
            raise cls(format_lazy(EXECUTED, kind=model._meta.verbose_name)) from error


class CyclicGraph(ValueError):
    """The edges close a circle; `cycle` holds the names or ids along it, the first one repeated at the end."""

    def __init__(self, cycle: Sequence[object]) -> None:
        self.cycle = list(cycle)
        names = [*map(str, cycle)]
        if len(names) > NAMED:
            names[NAMED // 2 : -NAMED // 2] = ["…"]
        self.sentence = format_lazy(CIRCLE, cycle=" → ".join(names))
        super().__init__(in_english(self.sentence))
