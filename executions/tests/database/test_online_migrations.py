"""Migrations of large tables: clients are not blocked while they run, and what was interrupted is finished."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import IntegrityError, ProgrammingError, connection, migrations, models, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation

from benches.migrations import Client
from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import (
    AddForeignKeyOnline,
    AddIndexOnline,
    CreateIndexOnline,
    InTransaction,
    LockTables,
    ReplaceIndexOnline,
    UpdateInBatches,
    lock_tables,
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
}
ONLINE = (
    AddForeignKeyOnline,
    AddIndexOnline,
    CreateIndexOnline,
    ReplaceIndexOnline,
    UpdateInBatches,
    AddIndexConcurrently,
)
BODY = re.compile(r"(\$\w*\$).*?\1|--[^\n]*", re.DOTALL)
CHANGES_TABLE = re.compile(
    r"(?:ALTER TABLE|CREATE (?:CONSTRAINT )?TRIGGER \w+ (?:BEFORE|AFTER)[\w\s]+? ON)\s+(\w+)", re.IGNORECASE
)
READS_ALL_ROWS = re.compile(
    r"^\s*(?:UPDATE|DELETE FROM)\s+(\w+)|CREATE (?:UNIQUE )?INDEX \w+ ON (\w+)", re.IGNORECASE | re.MULTILINE
)


# The second pass over the runs that have secrets, of which the batches before it leave none.
ACCEPTED = {"0021_secrets_of_run": "Raw SQL operation: workflow_executions in one statement"}


def faults(migration: migrations.Migration) -> list[str]:
    """Return what a migration does that blocks clients of a large table for long."""
    created = [each for each in migration.operations if isinstance(each, migrations.CreateModel)]
    new = {str(each.options.get("db_table")) for each in created}
    found = _faults(migration.operations, new, is_atomic=migration.atomic)
    return [fault for fault in found if fault != ACCEPTED.get(migration.name)]


def _faults(operations: Any, locked: set[str], *, is_atomic: bool) -> Iterator[str]:
    new = {each.name.lower() for each in operations if isinstance(each, migrations.CreateModel)}
    for operation in operations:
        if isinstance(operation, LockTables):
            locked |= set(operation.tables)
        elif isinstance(operation, InTransaction):
            yield from _faults(operation.operations, locked | set(operation.tables), is_atomic=True)
        elif isinstance(operation, SeparateDatabaseAndState):
            yield from _faults(operation.database_operations, locked, is_atomic=is_atomic)
        elif isinstance(operation, (*ONLINE, ValidateConstraint)):
            yield from [f"{operation.describe()}: needs atomic = False"] if is_atomic else []
        elif getattr(operation, "model_name", "").lower() not in new:
            yield from _faults_of(operation, locked)


def _faults_of(operation: Operation, locked: set[str]) -> Iterator[str]:
    changed = {LARGE[name] for name in [getattr(operation, "model_name", "").lower()] if name in LARGE}
    if changed and isinstance(operation, migrations.AddIndex):
        yield f"{operation.describe()}: use AddIndexOnline"
    if changed and isinstance(operation, migrations.AddConstraint) and not isinstance(operation, AddConstraintNotValid):
        yield f"{operation.describe()}: use AddConstraintNotValid, and ValidateConstraint in a later migration"
    if changed and isinstance(operation, migrations.AddField) and not _has_default(operation.field):
        yield f"{operation.describe()}: needs null=True or a db_default"
    if changed and isinstance(operation, migrations.AlterField):
        yield f"{operation.describe()}: may rewrite or read the table; add a column instead"
    if isinstance(operation, AddForeignKey) and operation.table in LARGE.values():
        yield f"{operation.describe()}: use AddForeignKeyOnline"
    sql = _sql_of(operation)
    yield from (f"{operation.describe()}: {name} in one statement" for name in _large(READS_ALL_ROWS, sql))
    yield from (
        f"{operation.describe()}: {name} is not locked by LockTables or InTransaction"
        for name in sorted(changed | _large(CHANGES_TABLE, sql))
        if name not in locked
    )


def _sql_of(operation: Operation) -> str:
    if not isinstance(operation, migrations.RunSQL) or isinstance(operation, ChangeFunction):
        return ""
    statements = operation.sql if isinstance(operation.sql, list | tuple) else [operation.sql]
    return BODY.sub("", "\n".join(str(each) for each in statements))


def _large(pattern: re.Pattern[str], sql: str) -> set[str]:
    found = {name for match in pattern.finditer(sql) for name in match.groups() if name}
    return found & set(LARGE.values())


def _has_default(field: Any) -> bool:
    return field.null or field.has_db_default()


def all_migrations() -> list[Any]:
    found = MigrationLoader(None).disk_migrations.items()
    ours = [each for (app, _name), each in found if app in {"alerts", "executions", "workflows", "tokens", "ledgerkit"}]
    return [pytest.param(each, id=f"{each.app_label}.{each.name}") for each in ours if not each.initial]


@pytest.mark.parametrize("migration", all_migrations())
def test_a_migration_blocks_no_client_of_a_large_table(migration: migrations.Migration) -> None:
    assert faults(migration) == []


class Refused(migrations.Migration):
    """Operations that a migration may not contain."""


INDEX = Index(fields=["created_at"], name="idx_new")
CHECK = models.CheckConstraint(condition=models.Q(version__gte=0), name="new_check")
RUN = "workflowexecution"


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        (migrations.AddIndex(RUN, INDEX), "use AddIndexOnline"),
        (AddIndexOnline(RUN, INDEX), "needs atomic = False"),
        (migrations.AddConstraint(RUN, CHECK), "use AddConstraintNotValid"),
        (ValidateConstraint(RUN, "new_check"), "needs atomic = False"),
        (migrations.AddField(RUN, "new", models.IntegerField(default=1)), "needs null=True or a db_default"),
        (migrations.AddField(RUN, "new", models.IntegerField(null=True)), "is not locked"),
        (migrations.AlterField(RUN, "attempt", models.BigIntegerField()), "may rewrite or read the table"),
        (migrations.RemoveField("nodeexecution", "settled"), "is not locked"),
        (AddForeignKey("f", "node_executions", ["node_id"], "nodes", ["id"], "RESTRICT"), "use AddForeignKeyOnline"),
        (migrations.RunSQL("UPDATE workflow_executions SET attempt = 1"), "in one statement"),
        (migrations.RunSQL("CREATE INDEX a ON execution_logs (level)"), "in one statement"),
        (migrations.RunSQL("ALTER TABLE execution_history ADD COLUMN a int"), "is not locked"),
        (migrations.RunSQL("CREATE TRIGGER a AFTER INSERT ON execution_logs EXECUTE FUNCTION b()"), "is not locked"),
    ],
)
def test_an_operation_that_blocks_clients_is_found(operation: Operation, fault: str) -> None:
    migration = Refused("new", "executions")
    migration.operations = [operation]
    (found, *_others) = faults(migration)
    assert fault in found


def test_a_change_of_a_locked_table_is_accepted() -> None:
    migration = Refused("new", "executions")
    field = models.IntegerField(null=True)
    migration.operations = [LockTables("workflow_executions"), migrations.AddField(RUN, "new", field)]
    assert faults(migration) == []


@pytest.fixture
def large(transactional_db: None) -> Iterator[None]:
    """Return a table of seven rows, which are updated two in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE large (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), done int, note text)")
        cursor.execute("INSERT INTO large (done) SELECT 0 FROM generate_series(1, 7)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE large")


def apply(*operations: Operation, backwards: bool = False) -> None:
    """Apply operations outside a transaction, to the newest models."""
    state = MigrationLoader(connection).project_state()
    for operation in operations:
        after = state.clone()
        operation.state_forwards("executions", after)
        with connection.schema_editor(atomic=False) as editor:
            if backwards:
                operation.database_backwards("executions", editor, after, state)
            else:
                operation.database_forwards("executions", editor, state, after)


def value(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        ((found,),) = cursor.fetchall()
    return found


IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'idx_large'::regclass"
ONLINE_INDEX = CreateIndexOnline("idx_large", "large", "(done)")


@pytest.mark.usefixtures("large")
class TestInterrupted:
    def test_an_index_of_which_the_creation_failed_is_created_again(self) -> None:
        with connection.cursor() as cursor, pytest.raises(IntegrityError):
            cursor.execute("CREATE UNIQUE INDEX CONCURRENTLY idx_large ON large (done)")
        assert value(IS_VALID) is False
        apply(ONLINE_INDEX)
        assert value(IS_VALID) is True

    def test_an_index_of_this_name_on_another_table_is_not_dropped(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE other (done int)")
            cursor.execute("CREATE INDEX idx_large ON other (done)")
        try:
            with pytest.raises(ProgrammingError, match="already exists"):
                apply(ONLINE_INDEX)
            assert value(IS_VALID) is True
        finally:
            with connection.cursor() as cursor:
                cursor.execute("DROP TABLE other")

    def test_an_index_that_is_there_is_kept(self) -> None:
        apply(ONLINE_INDEX)
        before = value("SELECT 'idx_large'::regclass::oid")
        apply(ONLINE_INDEX)
        assert value("SELECT 'idx_large'::regclass::oid") == before

    def test_a_transaction_that_was_committed_is_left_out(self) -> None:
        add = migrations.RunSQL("ALTER TABLE large ADD COLUMN new int")
        once = InTransaction(
            [add],
            ["large"],
            "(SELECT count(*) = 4 FROM pg_attribute WHERE attrelid = 'large'::regclass AND attnum > 0)",
        )
        apply(once, once)
        assert value("SELECT count(new) FROM large") == 0

    def test_a_transaction_that_fails_leaves_nothing(self) -> None:
        broken = InTransaction([migrations.RunSQL(["UPDATE large SET done = 1", "SELECT 1 / 0"])], ["large"], "false")
        with pytest.raises(Exception, match="division by zero"):
            apply(broken)
        assert value("SELECT sum(done) FROM large") == 0

    def test_rows_are_updated_once_whatever_was_done_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ledgerkit.db.online_operations.BATCH", 2)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE large SET done = 1, note = 'before' WHERE id IN (SELECT id FROM large LIMIT 3)")
        apply(UpdateInBatches("large", "done = done + 1, note = 'now'", where="done = 0"))
        assert value("SELECT string_agg(note, ' ' ORDER BY note) FROM large") == " ".join(["before"] * 3 + ["now"] * 4)
        assert value("SELECT max(done) FROM large") == 1


def test_an_index_is_replaced_and_comes_back(transactional_db: None) -> None:
    definition = "SELECT pg_get_indexdef('idx_workflow_executions_status'::regclass)"
    before = value(definition)
    replaced = ReplaceIndexOnline(RUN, Index(fields=["status", "id"], name="idx_workflow_executions_status"))
    apply(replaced)
    assert value(definition) == before.replace("(status)", "(status, id)")
    apply(replaced, backwards=True)
    assert value(definition) == before


@pytest.mark.usefixtures("large")
def test_the_time_limit_of_locks_is_afterwards_as_it_was() -> None:
    with transaction.atomic(), connection.cursor() as cursor, connection.schema_editor(atomic=False) as editor:
        cursor.execute("SET LOCAL lock_timeout = '7s'")
        lock_tables(editor, ["large"])
        assert value("SELECT current_setting('lock_timeout')") == "7s"


@pytest.mark.slow
@pytest.mark.usefixtures("large")
def test_a_lock_that_is_not_granted_ends_no_client() -> None:
    """The client holds one table and wants the next, which the migration holds: without the short timeout, PostgreSQL
    would end one of the two."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS second (id int)")
    client = Client(
        (
            "BEGIN",
            "LOCK TABLE second IN ROW EXCLUSIVE MODE",
            "SELECT pg_sleep(0.1)",
            "LOCK TABLE large IN ROW EXCLUSIVE MODE",
            "COMMIT",
            "SELECT pg_sleep(0.1)",
        )
    )
    client.start()
    while client.number <= len(client.statements):
        time.sleep(0.01)
    try:
        with transaction.atomic(), connection.schema_editor(atomic=False) as editor:
            lock_tables(editor, ["large", "second"])
    finally:
        client.is_stopped.set()
        client.join()
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE second")
    assert client.faults == []
