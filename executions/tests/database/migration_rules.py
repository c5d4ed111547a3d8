"""Rules of migrations of large tables: what blocks their clients for long (docs/development.md)."""

import re
from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models
from django.db.migrations.operations import SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.models.expressions import Expression
from django.db.models.functions import Cast, Now

from ledgerkit.db.online_operations import (
    AddForeignKeyOnline,
    AddIndexOnline,
    CreateIndexOnline,
    InTransaction,
    LockTables,
    ReplaceIndexOnline,
    UpdateInBatches,
)
from ledgerkit.db.operations import AddForeignKey, ChangeFunction

# Every other table has as many rows as a team has workflows, users and tokens.
LARGE = {
    "workflowexecution": "workflow_executions",
    "nodeexecution": "node_executions",
    "executionlog": "execution_logs",
    "historyentry": "execution_history",
    "deletion": "execution_deletions",
    "workflowexecutionattempt": "workflow_execution_attempts",
    "nodeexecutionattempt": "node_execution_attempts",
    "workflowexecutionlease": "workflow_execution_leases",
    "nodeexecutionlease": "node_execution_leases",
    "archivedrun": "execution_archived_runs",
    "erroroccurrence": "error_occurrences",
    "runnote": "execution_notes",
    "droppedlines": "execution_dropped_lines",
    "keptrun": "execution_kept_runs",
    "bulkactionrun": "bulk_action_runs",
    "idempotencykey": "idempotency_keys",
}
ONLINE = (
    AddForeignKeyOnline,
    AddIndexOnline,
    CreateIndexOnline,
    ReplaceIndexOnline,
    UpdateInBatches,
    AddIndexConcurrently,
)
BODY = re.compile(r"(?<!\bDO )(\$\w*\$).*?\1|--[^\n]*", re.DOTALL)  # of functions, but not of DO; comments
TABLE = r'(?:ONLY\s+)?(?:"?public"?\.)?"?(\w+)"?'
CHANGES_TABLE = re.compile(
    rf"(?:(?:ALTER|DROP|TRUNCATE)\s+TABLE|TRUNCATE)\s+(?:IF\s+EXISTS\s+)?{TABLE}"
    rf"|CREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?TRIGGER\s+\S+\s+(?:BEFORE|AFTER)[\w\s,]+?\sON\s+{TABLE}"
    rf"|DROP\s+TRIGGER\s+(?:IF\s+EXISTS\s+)?\S+\s+ON\s+{TABLE}",
    re.IGNORECASE,
)
READS_ALL_ROWS = re.compile(
    rf"\b(?:UPDATE|DELETE\s+FROM|MERGE\s+INTO)\s+{TABLE}"
    rf"|CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:(?!ON\s)\S+\s+)?ON\s+{TABLE}"
    rf"|ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?{TABLE}(?=[^;]*?\b(?:SET\s+NOT\s+NULL|TYPE|ADD\s+(?:CONSTRAINT|CHECK|FOREIGN"
    r"|UNIQUE|PRIMARY))\b)(?![^;]*\bNOT\s+VALID\b)",
    re.IGNORECASE,
)

PYTHON = "Raw Python operation: needs atomic = False, and batches"
# Faults of migrations that stand, each with its reason.
ACCEPTED = {
    # The second pass over the runs that have secrets, of which the batches before it leave none.
    "executions.0021_secrets_of_run": "Raw SQL operation: workflow_executions in one statement",
    # Permissions alone, a few rows of Django's own tables.
    "executions.0024_permissions": PYTHON,
    "executions.0066_share_views_of_lists": PYTHON,
    "workflows.0007_permissions": PYTHON,
}


def faults(migration: migrations.Migration) -> list[str]:
    """Return what a migration does that blocks clients of a large table for long."""
    created = [each for each in migration.operations if isinstance(each, migrations.CreateModel)]
    new = {str(each.options.get("db_table")) for each in created}
    found = _faults(migration.operations, new, set(), is_atomic=migration.atomic)
    return [fault for fault in found if fault != ACCEPTED.get(f"{migration.app_label}.{migration.name}")]


def _faults(operations: Any, new: set[str], locked: set[str], *, is_atomic: bool) -> Iterator[str]:
    for operation in operations:
        if isinstance(operation, LockTables):
            locked |= set(operation.tables)
        elif isinstance(operation, InTransaction):
            yield from _faults(operation.operations, new, locked | set(operation.tables), is_atomic=True)
        elif isinstance(operation, SeparateDatabaseAndState):
            yield from _faults(operation.database_operations, new, locked, is_atomic=is_atomic)
        elif isinstance(operation, (*ONLINE, ValidateConstraint)):
            yield from [f"{operation.describe()}: needs atomic = False"] if is_atomic else []
        elif isinstance(operation, migrations.RunPython):
            is_one_transaction = is_atomic if operation.atomic is None else operation.atomic
            yield from [f"{operation.describe()}: needs atomic = False, and batches"] if is_one_transaction else []
        else:
            yield from _faults_of(operation, new, locked)


def _faults_of(operation: Operation, new: set[str], locked: set[str]) -> Iterator[str]:
    changed = {LARGE[name] for name in [getattr(operation, "model_name", "").lower()] if name in LARGE} - new
    if changed and isinstance(operation, migrations.AddIndex):
        yield f"{operation.describe()}: use AddIndexOnline"
    if changed and isinstance(operation, migrations.AddConstraint) and not isinstance(operation, AddConstraintNotValid):
        yield f"{operation.describe()}: use AddConstraintNotValid, and ValidateConstraint in a later migration"
    if changed and isinstance(operation, migrations.AddField):
        yield from (f"{operation.describe()}: {fault}" for fault in _faults_of_field(operation.field))
    if changed and isinstance(operation, migrations.AlterField):
        yield f"{operation.describe()}: may rewrite or read the table; add a column instead"
    if isinstance(operation, AddForeignKey) and operation.table in {*LARGE.values()} - new:
        yield f"{operation.describe()}: use AddForeignKeyOnline"
    sql = _sql_of(operation)
    yield from (f"{operation.describe()}: {name} in one statement" for name in _large(READS_ALL_ROWS, sql) - new)
    yield from (
        f"{operation.describe()}: {name} is not locked by LockTables or InTransaction"
        for name in sorted(changed | _large(CHANGES_TABLE, sql) - new)
        if name not in locked
    )


def _faults_of_field(field: Any) -> Iterator[str]:
    if field.generated:
        yield "rewrites the table; add a column, and UpdateInBatches"
    elif field.has_db_default():
        if not _is_constant(field.db_default):
            yield "needs a db_default that is a constant; another one rewrites the table"
    elif not field.null:
        yield "needs null=True or a db_default"
    if field.is_relation and field.db_constraint:
        yield "needs db_constraint=False; use AddForeignKeyOnline"
    if field.unique or field.db_index:
        yield "creates an index; use AddIndexOnline"


def _is_constant(default: Any) -> bool:
    """Return whether PostgreSQL evaluates the default of a new column once, and not for each row."""
    parts = default.flatten() if isinstance(default, Expression) else []
    return all(isinstance(part, (models.Value, Cast, Now)) for part in parts)


def _sql_of(operation: Operation) -> str:
    if not isinstance(operation, migrations.RunSQL) or isinstance(operation, ChangeFunction):
        return ""
    statements = operation.sql if isinstance(operation.sql, list | tuple) else [operation.sql]
    return BODY.sub("", ";\n".join(str(each[0] if isinstance(each, list | tuple) else each) for each in statements))


def _large(pattern: re.Pattern[str], sql: str) -> set[str]:
    found = {name.lower() for match in pattern.finditer(sql) for name in match.groups() if name}
    return found & set(LARGE.values())
