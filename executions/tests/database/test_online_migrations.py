"""Migrations of large tables: clients are not blocked while they run, and what was interrupted is finished."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, ProgrammingError, connection, migrations, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from benches.migrations import Client
from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import (
    CreateIndexOnline,
    InTransaction,
    ReplaceIndexOnline,
    UpdateInBatches,
    lock_tables,
)


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
    replaced = ReplaceIndexOnline(
        "workflowexecution", Index(fields=["status", "id"], name="idx_workflow_executions_status")
    )
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
