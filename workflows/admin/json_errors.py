"""Errors of text that is not JSON, with their place."""

import json

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

AROUND = 30  # characters shown before and after an error

NOT_JSON = gettext_lazy("Line %(line)d, column %(column)d: this is no JSON from here on: “%(text)s”")


def refuse_syntax(text: str, error: json.JSONDecodeError) -> ValidationError:
    """Return the error of a form, which names the line and the column and shows the text there."""
    place = {"line": error.lineno, "column": error.colno, "text": _text_around(text, error.pos)}
    return ValidationError(NOT_JSON, code="invalid", params=place)


def _text_around(text: str, position: int) -> str:
    line = text[text.rfind("\n", 0, position) + 1 :].split("\n", 1)[0]
    column = position - (text.rfind("\n", 0, position) + 1)
    return line[max(0, column - AROUND) : column + AROUND].strip() or _("the end of the text")
