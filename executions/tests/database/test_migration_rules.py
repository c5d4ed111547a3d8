"""No migration blocks the clients of a large table, and one that would is refused."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from executions.tests.database.migration_rules import LARGE, faults
from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import AddIndexOnline, LockTables
from ledgerkit.db.operations import AddForeignKey
from workflows.models import Workflow


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
Key = models.ForeignKey
SUM = models.GeneratedField(expression=models.F("attempt") + 1, output_field=models.IntegerField(), db_persist=True)


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        (migrations.AddIndex(RUN, INDEX), "use AddIndexOnline"),
        (AddIndexOnline(RUN, INDEX), "needs atomic = False"),
        (migrations.AddConstraint(RUN, CHECK), "use AddConstraintNotValid"),
        (ValidateConstraint(RUN, "new_check"), "needs atomic = False"),
        (migrations.AddField(RUN, "new", models.IntegerField(default=1)), "needs null=True or a db_default"),
        (migrations.AddField(RUN, "new", models.IntegerField(null=True)), "is not locked"),
        (migrations.AddField(RUN, "new", Key(Workflow, models.CASCADE, null=True)), "use AddForeignKeyOnline"),
        (migrations.AddField(RUN, "new", Key(Workflow, models.CASCADE, null=True)), "use AddIndexOnline"),
        (migrations.AddField(RUN, "new", models.IntegerField(null=True, db_index=True)), "use AddIndexOnline"),
        (migrations.AddField(RUN, "new", models.IntegerField(null=True, unique=True)), "use AddIndexOnline"),
        (migrations.AddField(RUN, "new", models.UUIDField(db_default=RandomUUID())), "rewrites the table"),
        (migrations.AddField(RUN, "new", SUM), "rewrites the table"),
        (migrations.RunPython(migrations.RunPython.noop), "needs atomic = False"),
        (migrations.AlterField(RUN, "attempt", models.BigIntegerField()), "may rewrite or read the table"),
        (migrations.RemoveField("nodeexecution", "settled"), "is not locked"),
        (AddForeignKey("f", "node_executions", ["node_id"], "nodes", ["id"], "RESTRICT"), "use AddForeignKeyOnline"),
        (migrations.RunSQL("UPDATE workflow_executions SET attempt = 1"), "in one statement"),
        (migrations.RunSQL("CREATE INDEX a ON execution_logs (level)"), "in one statement"),
        (migrations.RunSQL("WITH a AS (SELECT 1) UPDATE execution_notes SET number = 1"), "in one statement"),
        (migrations.RunSQL("DO $$ BEGIN DELETE FROM ONLY error_occurrences; END $$"), "in one statement"),
        (migrations.RunSQL("CREATE UNIQUE INDEX IF NOT EXISTS a ON execution_logs (level)"), "in one statement"),
        (migrations.RunSQL('CREATE INDEX ON ONLY "execution_logs" (level)'), "in one statement"),
        (migrations.RunSQL("ALTER TABLE node_executions ALTER COLUMN a SET NOT NULL"), "in one statement"),
        (migrations.RunSQL("ALTER TABLE node_executions ADD CONSTRAINT a CHECK (b > 0)"), "in one statement"),
        (migrations.RunSQL([("ALTER TABLE node_executions ALTER a TYPE text", None)]), "in one statement"),
        (migrations.RunSQL("ALTER TABLE execution_history ADD COLUMN a int"), "is not locked"),
        (migrations.RunSQL("ALTER TABLE IF EXISTS ONLY idempotency_keys ADD COLUMN a int"), "is not locked"),
        (migrations.RunSQL("DROP TRIGGER IF EXISTS a ON public.execution_logs"), "is not locked"),
        (migrations.RunSQL("CREATE OR REPLACE TRIGGER a AFTER UPDATE OF b, c ON execution_logs d()"), "is not locked"),
        (migrations.RunSQL("CREATE TRIGGER a AFTER INSERT ON execution_logs EXECUTE FUNCTION b()"), "is not locked"),
    ],
)
def test_an_operation_that_blocks_clients_is_found(operation: Operation, fault: str) -> None:
    migration = Refused("new", "executions")
    migration.operations = [operation]
    assert any(fault in found for found in faults(migration))


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE FUNCTION a() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE workflow_executions SET b = 1; END $$",
        "-- UPDATE workflow_executions\nUPDATE workflows SET name = 'a'",
        "SELECT id FROM workflow_executions FOR UPDATE OF workflow_executions",
        "INSERT INTO workflows VALUES (1) ON CONFLICT DO UPDATE SET name = 'a'",
    ],
)
def test_a_statement_that_reads_no_large_table_is_accepted(sql: str) -> None:
    migration = Refused("new", "executions")
    migration.operations = [migrations.RunSQL(sql)]
    assert faults(migration) == []


def test_every_table_of_rows_of_runs_is_large() -> None:
    runs = {"workflow_executions", "node_executions"}
    fields = [field for model in apps.get_models() for field in model._meta.concrete_fields if field.is_relation]
    of_runs = {field.model._meta.model_name for field in fields if field.related_model._meta.db_table in runs}  # type: ignore[union-attr]  # no model is named by a string any more
    assert of_runs <= set(LARGE)
    tables = {model._meta.model_name: model._meta.db_table for model in apps.get_models()}
    assert {name: tables[name] for name in LARGE} == LARGE


def test_a_change_of_a_locked_table_is_accepted() -> None:
    migration = Refused("new", "executions")
    field = models.IntegerField(null=True)
    migration.operations = [LockTables("workflow_executions"), migrations.AddField(RUN, "new", field)]
    assert faults(migration) == []
