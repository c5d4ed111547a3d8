"""Exceptions of definitions.

`str(error)` is the message in English, for programs and logs; `error.sentence` is the message in the language of the
page.

StaleObject     the row is newer than the object (also a ValueError, and Django's ObjectNotUpdated)
HasHistory      a definition that was executed cannot be deleted (also Django's ProtectedError)
CyclicGraph     the edges form a cycle (also a ValueError)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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
NAMED = 30  # nodes of a cycle named in the message
CIRCLE = _("The edges form a cycle: {cycle}. Remove one of them.")


class HasHistory(models.ProtectedError):
    """A workflow or node that was executed belongs to the history: deactivate it or soft-delete it instead."""

    def __init__(self, sentence: object) -> None:
        self.sentence = sentence
        super().__init__(in_english(sentence), set())

    def __str__(self) -> str:
        return str(self.args[0])

    @classmethod
    @contextmanager
    def translate_errors(cls, model: type[models.Model]) -> Iterator[None]:
        """Raise HasHistory when the database refuses to delete rows of `model`; the transaction stays usable."""
        try:
            with transaction.atomic():
                yield
        except IntegrityError as error:
            if not isinstance(error.__cause__, ForeignKeyViolation | RestrictViolation):
                raise
            raise cls(format_lazy(EXECUTED, kind=model._meta.verbose_name)) from error


class CyclicGraph(ValueError):
    """The edges form a cycle. `cycle` holds its names or ids, with the first repeated at the end."""

    def __init__(self, cycle: Sequence[object]) -> None:
        self.cycle = list(cycle)
        names = [*map(str, cycle)]
        if len(names) > NAMED:
            names[NAMED // 2 : -NAMED // 2] = ["…"]
        self.sentence = format_lazy(CIRCLE, cycle=" → ".join(names))
        super().__init__(in_english(self.sentence))
