"""Exceptions of saving rows, and helpers for PostgreSQL's errors."""

from django.core.exceptions import ObjectNotUpdated
from django.db import IntegrityError
from django.utils.translation import override


def in_english(sentence: object) -> str:
    """Return a lazy translation untranslated."""
    with override(None):
        return str(sentence)


class StaleObject(ObjectNotUpdated, ValueError):
    """The row was changed or deleted since the object was read. Read it again and repeat the change."""

    def __init__(self, sentence: object) -> None:
        self.sentence = sentence
        super().__init__(in_english(sentence))


def violated_constraint(error: IntegrityError) -> str | None:
    """Return the name of the violated constraint, or None."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return diagnosis.constraint_name if diagnosis else None
