"""Preparation of log lines before they are stored: converted to text, masked, cut to the maximum length."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from django.db.models import Model

from . import masking, text_limits

if TYPE_CHECKING:
    from .models import ExecutionLog

ADD_LINE = "add a line to"
MAX_MESSAGE = 65_536  # bytes of UTF-8 that the database takes; the setting may ask for less


def prepare(lines: "Sequence[ExecutionLog]", using: str | None = None) -> None:
    """Prepare the lines in place, all of them or none. Raises SecretsUnknown and the errors of
    ExecutionLog.clean_text().

    Masks before cutting, because half of a secret would not be found.
    """
    for line in lines:
        line.clean_text()
    masking.mask_rows(lines, ADD_LINE, using)
    for line in lines:
        message = cut(line.message)
        if message is not line.message:
            line.message, line.is_cut = message, True


def as_stored(line: "ExecutionLog", fields: masking.Fields) -> Iterator[tuple[Model, masking.Fields]]:
    """Return the texts masked with the secrets of the run, and cut."""
    return masking.as_stored(
        line,
        fields,
        lambda stored: {name: cut(str(text)) if name == "message" else text for name, text in stored.items()},
    )


def cut(message: str) -> str:
    """Return the message cut to its maximum length; the same object if it is short enough."""
    return text_limits.cut_to_limits("message", message)
