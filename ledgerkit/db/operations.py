"""Migration operations for PostgreSQL features that Django's operations do not cover."""

from collections.abc import Callable, Sequence
from pathlib import Path

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import CreateModel, RunPython, RunSQL
from django.db.migrations.state import ProjectState, StateApps


class RunSQLFile(RunSQL):
    """Run a file of SQL; `reverse_sql` reverts it."""

    def __init__(self, path: Path, reverse_sql: str) -> None:
        super().__init__(path.read_text(), reverse_sql)
        self.path = path

    def describe(self) -> str:
        return f"Run {self.path.name}"


class ChangeFunction(RunSQL):
    """Replace a part of the text of a function of the database; its rights and settings are kept."""

    def __init__(self, function: str, old: str, new: str) -> None:
        self.function = function
        super().__init__(_replace_text(function, old, new), _replace_text(function, new, old))

    def describe(self) -> str:
        return f"Change {self.function}"


class ChangeMessage(ChangeFunction):
    """Change the text of an error that a function of the database raises."""


def _replace_text(function: str, old: str, new: str) -> str:
    definition = f"pg_get_functiondef('{function}'::regprocedure)"
    return f"DO $do$ BEGIN EXECUTE replace({definition}, $old${old}$old$, $new${new}$new$); END $do$"


class AddForeignKey(RunSQL):
    """Add a foreign key that Django cannot declare: on several columns, or with ON DELETE RESTRICT.

    It is never deferred, so the statement that violates it fails, not the commit.
    """

    def __init__(
        self, name: str, table: str, columns: Sequence[str], references: str, to: Sequence[str], on_delete: str
    ) -> None:
        self.name, self.table, self.references = name, table, references
        super().__init__(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({', '.join(columns)})"
            f" REFERENCES {references} ({', '.join(to)}) ON DELETE {on_delete}",
            f"ALTER TABLE {table} DROP CONSTRAINT {name}",
        )

    def describe(self) -> str:
        return f"Add foreign key {self.name} on {self.table}"


class CreatePartitionedModel(CreateModel):
    """Create a model whose table is partitioned by range of the primary key, without partitions."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        schema_editor.sql_create_table += " PARTITION BY RANGE (id)"
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            del schema_editor.sql_create_table

    def describe(self) -> str:
        return f"{super().describe()}, partitioned by range of id"


class TrackChanges(RunSQL):
    """Add triggers that record the changes of a table under this `kind` (workflows/sql/definition_changes.sql)."""

    def __init__(self, table: str, kind: str) -> None:
        self.table = table
        new, old = "NEW TABLE AS after_rows", "OLD TABLE AS before_rows"
        rows = {"INSERT": (new, "inserted"), "UPDATE": (f"{old} {new}", "updated"), "DELETE": (old, "deleted")}
        super().__init__(
            [
                f"CREATE TRIGGER definition_{done} AFTER {event} ON {table} REFERENCING {tables}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION definition_{done}('{kind}')"
                for event, (tables, done) in rows.items()
            ],
            [f"DROP TRIGGER definition_{done} ON {table}" for _tables, done in rows.values()],
        )

    def describe(self) -> str:
        return f"Track changes of {self.table}"


def remove_permissions(app_label: str, *codenames: str) -> RunPython:
    """Remove permissions that the models of an app no longer have: migrate creates missing ones and keeps others."""

    def remove(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
        permissions.filter(content_type__app_label=app_label, codename__in=codenames).delete()

    return RunPython(remove, RunPython.noop)


def rename_permission(app_label: str, codename: str, old: str, new: str) -> RunPython:
    """Change what people read of a permission: migrate writes it once, when it creates the permission."""

    def change(name: str) -> Callable[[StateApps, BaseDatabaseSchemaEditor], None]:
        def write(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
            permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
            permissions.filter(content_type__app_label=app_label, codename=codename).update(name=name)

        return write

    return RunPython(change(new), change(old))
