"""Errors of saving rows, and reading the errors of PostgreSQL."""

from typing import Any

from django.core.exceptions import ObjectNotUpdated
from django.db import IntegrityError
from django.utils.translation import override


def in_english(sentence: Any) -> str:
    """What gettext_lazy() or format_lazy() made, untranslated."""
    with override(None):
        return str(sentence)


class StaleObject(ObjectNotUpdated, ValueError):
    """The row was changed or deleted since the object was read: read it again and repeat the change."""

    def __init__(self, sentence: Any) -> None:
        self.sentence = sentence
        super().__init__(in_english(sentence))


def violated(error: IntegrityError) -> str | None:
    """The name of the constraint that the database held against a statement."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return diagnosis.constraint_name if diagnosis else None
