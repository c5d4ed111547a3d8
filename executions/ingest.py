"""Bulk inserts: masked rows by INSERT, and by COPY, of which each call stores all of its rows, or none."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.models.functions import Now

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.json_validation import to_json
from ledgerkit.db.models import Column
from ledgerkit.db.timeouts import no_limit

from . import audit, log_preparation, masking
from .secrets import run_secrets
from .secrets.encryption import encrypt
from .secrets.scrubber import Scrubber

if TYPE_CHECKING:
    from .models import ExecutionLog, WorkflowExecution
    from .unsaved_log_lines import UnsavedLine

LINE = ("id", "workflow_execution", "node_execution", "level", "message", "data", "timestamp")

type Row = Sequence[object]


class Encoded(str):
    """A JSON document that is encoded and masked already. Saves encoding one document for many rows."""

    __slots__ = ()


def copy(model: type[models.Model], fields: Sequence[str], rows: Iterable[Row], using: str = DEFAULT_DB_ALIAS) -> None:
    """Write `rows`, whose values stand in the order of `fields`; other columns take the database's defaults.

    Documents are masked by their keys. Other values are stored as they are, with secrets in their texts: use it for
    generated rows, or for rows masked by `masking.mask_rows`. Only the database validates the rows. The partitions of
    log lines must exist (`partitions.ensure`).
    """
    columns: list[Column] = [model._meta.get_field(name) for name in fields]  # type: ignore[misc]  # no field of these models is a reverse relation
    documents = [index for index, field in enumerate(columns) if isinstance(field, models.JSONField)]
    by_keys = Scrubber(extra=ledgerkit_settings.SECRET_KEYS_EXTRA)
    masked = (_encode_row(row, documents, by_keys) for row in rows) if documents else rows
    with transaction.atomic(using=using):
        copy_rows(model, fields, masked, using)


def copy_rows(
    model: type[models.Model], fields: Sequence[str], rows: Iterable[Row], using: str = DEFAULT_DB_ALIAS
) -> None:
    """Write `rows` as copy() does, but within the caller's transaction, and without masking: documents are JSON already
    (`Encoded`)."""
    connection = connections[using]
    columns = [model._meta.get_field(name).column for name in fields]  # type: ignore[union-attr]  # no field of these models is a reverse relation
    table, *names = map(connection.ops.quote_name, [model._meta.db_table, *map(str, columns)])
    statement = f"COPY {table} ({', '.join(names)}) FROM STDIN"
    # Django translates the driver's errors for the calls that it wraps; COPY is none of them.
    translated = connection.wrap_database_errors
    with connection.cursor() as cursor, translated, cursor.copy(statement) as lines:
        for row in rows:
            lines.write_row(row)


def insert_runs(
    runs: "list[WorkflowExecution]",
    using: str,
    insert: "Callable[[list[WorkflowExecution]], list[WorkflowExecution]]",
    *,
    upsert: bool,
) -> "list[WorkflowExecution]":
    """Mask the runs, encrypt the secrets found in them, and `insert` them with the note of who created them. With
    `upsert` runs of the same ids may exist, of which `insert` changes the named fields only."""
    for run in runs:
        run.check_documents()
    found = masking.mask_rows(runs, "create", using, new=True)
    for run in runs:
        values = found.get(run.pk, set())
        run.encrypted_secrets = encrypt(values) if values else run.encrypted_secrets
        run.updated_at = Now()
    note = masking.note_of_new(value for values in found.values() for value in values)
    stores_secrets = upsert and bool(found)
    with transaction.atomic(using=using) if stores_secrets else nullcontext():
        with audit.audit_note(note, using):
            created = insert(runs)
        if stores_secrets:
            run_secrets.store_secrets(found, using)
    return created


def insert_lines(
    lines: "list[ExecutionLog]", using: str, insert: "Callable[[list[ExecutionLog]], list[ExecutionLog]]"
) -> "list[ExecutionLog]":
    """Mask the lines and `insert` them, their partitions made where missing."""
    return log_preparation.store(lines, using, insert)


def write_lines(lines: "Iterable[ExecutionLog]", using: str = DEFAULT_DB_ALIAS) -> "list[ExecutionLog]":
    """Insert lines by COPY, as `bulk_create` does by INSERT. Raises what saving one raises."""
    lines = list(lines)
    if lines:
        copy_lines(type(lines[0]), lines, using)
    for line in lines:
        line._state.adding, line._state.db = False, using
    return lines


def copy_lines[L: (ExecutionLog, UnsavedLine)](
    model: "type[ExecutionLog]", lines: Sequence[L], using: str = DEFAULT_DB_ALIAS
) -> None:
    """Write lines as write_lines() does, which need not be objects of the model."""
    fields = (*LINE, "source", "seq", "attempt", "is_cut")
    log_preparation.store(
        lines, using, lambda kept: copy_rows(model, fields, map(_line_row, kept), using), savepoint=True
    )


def _line_row(line: "ExecutionLog | UnsavedLine") -> Row:
    data = None if line.data is None else _as_json(line.data)  # masked by store(): not masked again
    return (
        line.id, line.workflow_execution_id, line.node_execution_id, line.level, line.message, data, line.timestamp,
        line.source, line.seq, line.attempt, line.is_cut,
    )  # fmt: skip


def vacuum(tables: Iterable[type[models.Model]], using: str = DEFAULT_DB_ALIAS) -> None:
    """Update the planner's statistics and the visibility map of freshly filled tables. Autovacuum would do so minutes
    later, and never for a partitioned table. Cannot run inside a transaction."""
    with no_limit(using), connections[using].cursor() as cursor:
        cursor.execute(f"VACUUM (ANALYZE) {_names(tables, using)}")


def empty(tables: Iterable[type[models.Model]], using: str = DEFAULT_DB_ALIAS) -> None:
    """Delete all rows of `tables` by TRUNCATE. The database refuses if another table has a foreign key to one of
    them."""
    with connections[using].cursor() as cursor:
        cursor.execute(f"TRUNCATE {_names(tables, using)}")


def _names(tables: Iterable[type[models.Model]], using: str) -> str:
    """Return the names of those that are tables: some models read views."""
    own = (table._meta.db_table for table in tables if table._meta.managed)
    return ", ".join(map(connections[using].ops.quote_name, own))


def _encode_row(row: Row, documents: list[int], by_keys: Scrubber) -> Row:
    values = list(row)
    for index in documents:
        value = values[index]
        if value is not None and type(value) is not Encoded:
            values[index] = _as_json(by_keys.document(value))
    return values


def _as_json(value: object) -> Encoded:
    return Encoded(to_json(value))
