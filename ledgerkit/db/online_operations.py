"""Migration operations for tables with many rows: clients write and read while they run.

All but LockTables need a migration that is not atomic. What an interrupted migration left is finished by its next run.
docs/development.md describes the pattern; `make bench-migrations` measures it.
"""

import hashlib
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import OperationalError, connections, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddIndex, RunSQL, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Index
from psycopg.errors import LockNotAvailable

from .operations import AddForeignKey

# Below PostgreSQL's deadlock_timeout (1 s), so that a deadlock ends the migration's attempt, and no client's statement.
LOCK_TIMEOUT = "300ms"
ATTEMPTS, PAUSE = 100, 0.2  # seconds between attempts
BATCH = 2_000  # rows that one UPDATE locks
FIRST = UUID(int=0)

IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s) AND indrelid = to_regclass(%s)"
IS_PARTITIONED = "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)"
# The partitions of a table that have no part of an index yet.
PARTITIONS_WITHOUT = """
SELECT partition.relname FROM pg_inherits JOIN pg_class AS partition ON partition.oid = inhrelid
WHERE inhparent = to_regclass(%s) AND NOT EXISTS (
    SELECT FROM pg_inherits AS part JOIN pg_index ON indexrelid = part.inhrelid
    WHERE part.inhparent = to_regclass(%s) AND indrelid = partition.oid
)
ORDER BY partition.relname
"""


def has_column(table: str, column: str) -> str:
    """Return SQL that is true if the table has the column."""
    return f"EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('{table}') AND attname = '{column}')"


def lock_tables(editor: BaseDatabaseSchemaEditor, tables: Sequence[str]) -> None:
    """Lock the tables in the current transaction. Each attempt is short, because clients wait behind it; what a failed
    one had locked is released before the next. Afterwards lock_timeout is as it was."""
    former = _value(editor, "SELECT current_setting('lock_timeout')")
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic(using=editor.connection.alias):
                editor.execute(f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT}', true)")
                editor.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
                editor.execute(f"SELECT set_config('lock_timeout', '{former}', true)")
        except OperationalError as error:
            if attempt == ATTEMPTS - 1 or not isinstance(error.__cause__, LockNotAvailable):
                raise
            time.sleep(PAUSE)
        else:
            return


def create_index(editor: BaseDatabaseSchemaEditor, table: str, name: str, statement: str) -> None:
    """Execute a CREATE INDEX without blocking writers. A valid index of this name is kept."""
    if _value(editor, IS_PARTITIONED, table):
        _create_partitioned_index(editor, table, name, statement)
        return
    is_valid = _value(editor, IS_VALID, name, table)
    if is_valid is False:
        editor.execute(f'DROP INDEX CONCURRENTLY "{name}"')
    if not is_valid:
        editor.execute(statement.replace(" INDEX ", " INDEX CONCURRENTLY ", 1))


def _create_partitioned_index(editor: BaseDatabaseSchemaEditor, table: str, name: str, statement: str) -> None:
    head, rest = statement.split(f" ON {editor.quote_name(table)} ", 1)
    only = head.replace(" INDEX ", " INDEX IF NOT EXISTS ", 1)
    editor.execute(f"{only} ON ONLY {editor.quote_name(table)} {rest}")
    for (partition,) in _rows(editor, PARTITIONS_WITHOUT, table, name):
        part = f"{partition}_{hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:8]}"
        editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{part}"')
        editor.execute(f'CREATE INDEX CONCURRENTLY "{part}" ON "{partition}" {rest}')
        editor.execute(f'ALTER INDEX "{name}" ATTACH PARTITION "{part}"')


def _rows(editor: BaseDatabaseSchemaEditor, sql: str, *parameters: str | UUID) -> list[tuple[Any, ...]]:
    with connections[editor.connection.alias].cursor() as cursor:
        cursor.execute(sql, [str(each) for each in parameters])
        return list(cursor.fetchall())


def _value(editor: BaseDatabaseSchemaEditor, sql: str, *parameters: str) -> object:
    return next((value for (value,) in _rows(editor, sql, *parameters)), None)


class LockTables(Operation):
    """Lock the tables that the following operations of an atomic migration change."""

    reduces_to_sql = reversible = True

    def __init__(self, *tables: str) -> None:
        self.tables = tables

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change no model."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        lock_tables(schema_editor, self.tables)

    database_backwards = database_forwards

    def describe(self) -> str:
        return f"Lock {', '.join(self.tables)}"


class InTransaction(SeparateDatabaseAndState):
    """Run operations in one transaction, with these tables locked. `done` is SQL that is true once it has committed:
    then they are left out."""

    def __init__(self, operations: Sequence[Operation], tables: Sequence[str], done: str) -> None:
        super().__init__(operations, operations)
        self.operations, self.tables, self.done = operations, tables, done

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if _value(schema_editor, f"SELECT {self.done}"):
            return
        with transaction.atomic(using=schema_editor.connection.alias):
            lock_tables(schema_editor, self.tables)
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return "; ".join(operation.describe() for operation in self.operations)


class AddIndexOnline(AddIndex):
    """Add an index, of a partitioned table partition by partition."""

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        statement = str(self.index.create_sql(model, schema_editor))
        create_index(schema_editor, model._meta.db_table, self.index.name, statement)


class ReplaceIndexOnline(Operation):
    """Replace the index of the same name: the new one is created before the old one is dropped."""

    atomic = False

    def __init__(self, model_name: str, index: Index) -> None:
        self.model_name, self.index = model_name, index

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        state.remove_index(app_label, self.model_name, self.index.name)
        state.add_index(app_label, self.model_name, self.index)

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        name = self.index.name
        model = to_state.apps.get_model(app_label, self.model_name)
        new = next(index for index in model._meta.indexes if index.name == name).clone()
        new.name = f"{name[:59]}_new"
        create_index(schema_editor, model._meta.db_table, new.name, str(new.create_sql(model, schema_editor)))
        schema_editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')
        schema_editor.execute(f'ALTER INDEX "{new.name}" RENAME TO "{name}"')

    database_backwards = database_forwards  # to_state has the index of before

    def describe(self) -> str:
        return f"Replace index {self.index.name}"


class CreateIndexOnline(RunSQL):
    """Create an index that no model declares. `definition` follows the name of the table."""

    atomic = False

    def __init__(self, name: str, table: str, definition: str) -> None:
        self.name, self.table, self.definition = name, table, definition
        super().__init__(f'CREATE INDEX "{name}" ON "{table}" {definition}', f'DROP INDEX IF EXISTS "{name}"')

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        create_index(schema_editor, self.table, self.name, str(self.sql))

    def describe(self) -> str:
        return f"Create index {self.name} on {self.table}"


class AddForeignKeyOnline(AddForeignKey):
    """Add a foreign key: first for new rows alone (NOT VALID), then check the others without a lock on them."""

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        with transaction.atomic(using=schema_editor.connection.alias):
            lock_tables(schema_editor, [self.table, self.references])
            schema_editor.execute(f"ALTER TABLE {self.table} DROP CONSTRAINT IF EXISTS {self.name}")
            schema_editor.execute(f"{self.sql} NOT VALID")
        schema_editor.execute(f"ALTER TABLE {self.table} VALIDATE CONSTRAINT {self.name}")


class UpdateInBatches(Operation):
    """Update the rows of a table, some thousand in a transaction, in the order of their ids. `assignments`, `where` and
    `done` are SQL: `where` leaves out the rows that are updated already, `done` is true if there is nothing to do."""

    atomic = False
    reduces_to_sql = False
    reversible = True

    def __init__(self, table: str, assignments: str, where: str, done: str = "false") -> None:
        self.table, self.assignments, self.where, self.done = table, assignments, where, done

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change no model."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if _value(schema_editor, f"SELECT {self.done}"):
            return
        last: UUID | None = FIRST
        while last:
            last = self._update_after(schema_editor, last)

    def _update_after(self, editor: BaseDatabaseSchemaEditor, last: UUID) -> UUID | None:
        """Update the rows with the next ids. Return the last of these ids, None if there are none."""
        following = f"SELECT id FROM {self.table} WHERE id > %s ORDER BY id LIMIT {BATCH}"  # noqa: S608  # names of our own code
        ids = [id for (id,) in _rows(editor, following, last)]
        wanted = f"SELECT id FROM {self.table} WHERE id = ANY(%s) AND ({self.where}) ORDER BY id FOR UPDATE"  # noqa: S608  # the same
        editor.execute(f"UPDATE {self.table} SET {self.assignments} WHERE id IN ({wanted})", [ids])  # noqa: S608  # the same
        return ids[-1] if ids else None

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Change no row: the column is removed by the operation that added it."""

    def describe(self) -> str:
        return f"Update {self.table} in batches"
