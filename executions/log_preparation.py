"""Preparation of log lines before they are stored: converted to text, masked, cut to the maximum length, under the
lock of their runs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connections, transaction
from django.db.models import IntegerField, Model
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_lazy as _

from ledgerkit.db import json_validation, names

from . import masking, partitions, text_limits
from .dropped_log_lines import DroppedLine, count_dropped, is_below
from .secrets import run_secrets
from .unsaved_log_lines import UnsavedLine

if TYPE_CHECKING:
    from .models import ExecutionLog

ADD_LINE = "add a line to"
MAX_SOURCE = 200  # characters
MAX_MESSAGE = 65_536  # bytes of UTF-8 that the database accepts; the setting may be lower
NEVER_CUT = 256  # characters, of at most 4 bytes each: no setting is lower
SOURCE_LENGTH = _("a source has 1 to 200 characters: choose another name.")
SECRETS_OF_RUNS = """
SELECT id, (SELECT config ->> 'log_level' FROM workflows WHERE workflows.id = workflow_id),
    encrypted_secrets, status, ended_at, version
FROM workflow_executions WHERE id = ANY(%s::uuid[]) ORDER BY id
"""
CURRENT_ATTEMPTS = """
SELECT id, attempt FROM node_executions WHERE id = ANY(%(ids)s)
UNION ALL SELECT id, attempt FROM workflow_executions WHERE id = ANY(%(ids)s)
"""


def store[L: (ExecutionLog, UnsavedLine), T](
    lines: Sequence[L], using: str, insert: Callable[[list[L]], T], *, savepoint: bool = False
) -> T:
    """Prepare the lines in place, and insert() those that are not below the level of their workflow, all or none.
    Raises SecretsUnknown and the errors of clean_text().

    The runs are locked from the reading of their secrets until the lines are stored, so that no other transaction adds
    one meanwhile. Partitions are created before: that waits for transactions that have locked a run. A caller's open
    transaction takes no lock, since it may stay open for long and other lines of the run would wait for its end. With
    `savepoint` it does, and an error leaves it usable.
    """
    for line in lines:
        clean_text(line)

    def write() -> T:
        is_open = connections[using].in_atomic_block
        with transaction.atomic(using=using) if savepoint or not is_open else nullcontext():
            levels = _prepare(lines, using, is_open=is_open, locks=savepoint or not is_open)
            return insert(_without_dropped(partitions.without_removed(lines, using), levels, using))

    return partitions.with_partitions([line.id for line in lines], using, write)


def clean_text(line: "ExecutionLog | UnsavedLine") -> None:
    """Make the message and the source storable. Raises ValidationError for data that is not JSON, for a time outside
    the years 1970 to 9999, and for a source that is no name."""
    line.message = json_validation.to_storable_text(line.message)
    if line.data is not None:
        json_validation.check("data", line.data)
    json_validation.check_moment("timestamp", line.timestamp)
    if line.source is not None:
        line.source = source_name(line.source)


def _without_dropped[L: (ExecutionLog, UnsavedLine)](
    lines: Sequence[L], levels: dict[UUID, str], using: str
) -> list[L]:
    """Return the lines that are to be stored; count the others."""
    if not levels:
        return list(lines)
    below = [line for line in lines if is_below(line.level, levels.get(masking.run_of(line)))]
    dropped = (DroppedLine(run := masking.run_of(line), line.source or "", levels[run], line.seq) for line in below)
    count_dropped(dropped, using)
    gone = {id(line) for line in below}
    return [line for line in lines if id(line) not in gone]


def _prepare(
    lines: "Sequence[ExecutionLog | UnsavedLine]", using: str, *, is_open: bool, locks: bool
) -> dict[UUID, str]:
    """Mask the lines, and then cut them: half of a secret would not be found. Return the lowest level that is stored of
    those runs that have one.

    Only a line with data can bring a secret, which changes the run. A caller's own transaction may change the run
    later: two of them, each with a shared lock, would wait for each other.
    """
    runs = {masking.run_of(line) for line in lines if line.message or line.data or line.source}
    is_shared = not is_open and all(line.data is None for line in lines)
    known, levels = _read_runs(runs, using, f"FOR {'SHARE' if is_shared else 'NO KEY UPDATE'}" if locks else "")
    _mask(lines, using, known)
    for line in lines:
        message = cut(line.message)
        if message is not line.message:
            line.message, line.is_cut = message, True
        if line.source is not None:
            line.source = line.source[:MAX_SOURCE]  # a mask may be longer than the secret
    _set_attempts([line for line in lines if line.attempt is None], using)
    return levels


def _mask(lines: "Sequence[ExecutionLog | UnsavedLine]", using: str, known: run_secrets.KnownOf) -> None:
    pieces = [masking.FieldValues(masking.run_of(line), _texts(line), line.found_secrets) for line in lines]
    masking.mask(pieces, ADD_LINE, using, known=known)
    for line, piece in zip(lines, pieces, strict=True):
        for name, text in piece.fields.items():
            setattr(line, name, text)
        if piece.found:
            line.found_secrets = piece.found


def _texts(line: "ExecutionLog | UnsavedLine") -> masking.Fields:
    texts: masking.Fields = {"message": line.message}
    if line.data:
        texts["data"] = line.data
    if line.source:
        texts["source"] = line.source
    return texts


def _read_runs(runs: set[UUID], using: str, lock: str) -> tuple[dict[UUID, run_secrets.RunSecrets], dict[UUID, str]]:
    """Return the secrets and levels of the runs, whose rows are locked in the order of their ids. Raises
    SecretsUnknown."""
    with connections[using].cursor() as cursor:
        cursor.execute(f"{SECRETS_OF_RUNS} {lock}", [list(map(str, runs))])
        rows = cursor.fetchall()
    known = {run: run_secrets.known_by(ADD_LINE, *columns) for run, _level, *columns in rows}
    return known, {run: level for run, level, *_columns in rows if level}


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


def _set_attempts(lines: "Sequence[ExecutionLog | UnsavedLine]", using: str) -> None:
    """Set the current attempt of the node execution, or of the run where a line has none."""
    if not lines:
        return
    named = {line.node_execution_id or line.workflow_execution_id for line in lines}
    with connections[using].cursor() as cursor:
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
    return message if len(message) <= NEVER_CUT else text_limits.cut_to_limits("message", message)
