"""Preparation of log lines before they are stored: converted to text, masked, cut to the maximum length."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import IntegerField, Model
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_lazy as _

from ledgerkit.db import names

from . import masking, reported_texts

if TYPE_CHECKING:
    from .models import ExecutionLog

ADD_LINE = "add a line to"
MAX_SOURCE = 200  # characters
MAX_MESSAGE = 65_536  # bytes of UTF-8 that the database accepts; the setting may be lower
SOURCE_LENGTH = _("a source has 1 to 200 characters: choose another name.")
CURRENT_ATTEMPTS = """
SELECT id, attempt FROM node_executions WHERE id = ANY(%(ids)s)
UNION ALL SELECT id, attempt FROM workflow_executions WHERE id = ANY(%(ids)s)
"""


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
        if line.source is not None:
            line.source = line.source[:MAX_SOURCE]  # a mask may be longer than the secret
    _set_attempts([line for line in lines if line.attempt is None], using)


def source_name(text: str) -> str:
    """Return the name of a source as it is stored, in NFC. Raises ValidationError."""
    name = names.nfc(text)
    fault = names.find_error(name) if 0 < len(name) <= MAX_SOURCE else SOURCE_LENGTH
    if fault:
        raise ValidationError({"source": fault})
    return name


def current_attempt(line: "ExecutionLog") -> Any:
    """Return the current attempt as the INSERT of a single line computes it, without a statement of its own."""
    table = "node_executions" if line.node_execution_id else "workflow_executions"
    id = line.node_execution_id or line.workflow_execution_id
    return RawSQL(f"(SELECT attempt FROM {table} WHERE id = %s)", [id], IntegerField())  # noqa: S608, S611  # the tables are named above


def _set_attempts(lines: "Sequence[ExecutionLog]", using: str | None) -> None:
    """Set the current attempt of the node execution, or of the run where a line has none."""
    if not lines:
        return
    named = {line.node_execution_id or line.workflow_execution_id for line in lines}
    with connections[using or DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(CURRENT_ATTEMPTS, {"ids": list(named)})
        current: dict[UUID, int] = dict(cursor.fetchall())
    for line in lines:
        line.attempt = current.get(line.node_execution_id or line.workflow_execution_id)


def as_stored(line: "ExecutionLog", fields: masking.Fields) -> Iterator[tuple[Model, masking.Fields]]:
    """Return the texts masked with the secrets of the run, and cut."""
    return masking.as_stored(
        line,
        fields,
        lambda stored: {name: cut(str(text)) if name == "message" else text for name, text in stored.items()},
    )


def cut(message: str) -> str:
    """Return the message cut to its maximum length; the same object if it is short enough."""
    return reported_texts.cut_to_limits("message", message)
