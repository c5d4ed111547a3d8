from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import ledgerkit.db.indexes
import ledgerkit.db.models
from ledgerkit.db.online_operations import LockTables
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BEFORE = "DROP VIEW activity;\n" + (SQL / "activity.sql").read_text()


class Migration(migrations.Migration):
    """Notes on runs. The table is new; no row of the ledger changes."""

    dependencies = [
        ("executions", "0058_bulk_rerun"),
    ]

    operations = [
        LockTables("workflow_executions"),
        migrations.CreateModel(
            name="RunNote",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=ledgerkit.db.models.DatabaseUUID7(),
                        default=ledgerkit.db.models.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                        verbose_name="id",
                    ),
                ),
                (
                    "through",
                    models.CharField(
                        choices=[
                            ("admin", "admin"),
                            ("api", "API"),
                            ("command", "command"),
                            ("in_process", "in process"),
                            ("sql", "SQL"),
                        ],
                        max_length=20,
                        verbose_name="through",
                    ),
                ),
                ("user_id", models.TextField(db_default="", verbose_name="user id")),
                ("username", models.TextField(db_default="", verbose_name="user")),
                ("token_id", models.UUIDField(null=True, verbose_name="token id")),
                ("token_name", models.TextField(db_default="", verbose_name="token")),
                ("reason", models.TextField(db_default="", verbose_name="reason")),
                ("request_id", models.TextField(db_default="", verbose_name="request id")),
                (
                    "happened_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="time"),
                ),
                ("number", models.PositiveIntegerField(verbose_name="number")),
                (
                    "act",
                    models.CharField(
                        choices=[("note", "note"), ("edit_note", "edit the note"), ("remove_note", "remove the note")],
                        max_length=50,
                        verbose_name="act",
                    ),
                ),
                (
                    "workflow_execution",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="note_versions",
                        to="executions.workflowexecution",
                        verbose_name="workflow execution",
                    ),
                ),
            ],
            options={
                "verbose_name": "note",
                "verbose_name_plural": "notes",
                "db_table": "execution_notes",
                "ordering": ["number", "id"],
                "default_permissions": ("delete",),
                "indexes": [
                    ledgerkit.db.indexes.Index(
                        fields=["workflow_execution", "number", "id"], name="idx_execution_notes_workflow_execution"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("act__in", ["note", "edit_note", "remove_note"])),
                        name="execution_note_act_known",
                    )
                ],
            },
        ),
        RunSQLFile(SQL / "activity_notes.sql", BEFORE),
        migrations.AlterField(
            model_name="activity",
            name="kind",
            field=models.CharField(
                choices=[
                    ("execution", "execution"),
                    ("deletion", "deletion of an execution"),
                    ("bulk_action", "bulk action"),
                    ("note", "note"),
                    ("workflow", "workflow"),
                    ("node", "node"),
                    ("edge", "edge"),
                    ("token", "token"),
                ],
                verbose_name="kind",
            ),
        ),
    ]
