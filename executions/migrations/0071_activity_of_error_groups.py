from pathlib import Path

import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.models import Q

import ledgerkit.db.indexes
import ledgerkit.db.models
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"


class Migration(migrations.Migration):
    """Groups of errors, kept runs and stopped bulk actions in the activity. No large table is touched; the view that it
    replaces has the same columns."""

    dependencies = [
        ("executions", "0070_usual_durations"),
    ]

    operations = [
        migrations.CreateModel(
            name="RecordedAct",
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
                (
                    "kind",
                    models.CharField(
                        choices=[("execution", "execution"), ("bulk_action", "bulk action")],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                (
                    "act",
                    models.CharField(
                        choices=[("keep", "keep"), ("release", "keep no longer"), ("stop", "stop")],
                        max_length=50,
                        verbose_name="act",
                    ),
                ),
                ("workflow_execution_id", models.UUIDField(null=True, verbose_name="workflow execution")),
                ("bulk_action_id", models.UUIDField(null=True, verbose_name="bulk action")),
            ],
            options={
                "verbose_name": "recorded act",
                "verbose_name_plural": "recorded acts",
                "db_table": "recorded_acts",
                "ordering": ["-id"],
                "default_permissions": (),
                "indexes": [
                    ledgerkit.db.indexes.Index(
                        fields=["workflow_execution_id"], name="idx_recorded_acts_workflow_execution"
                    ),
                    ledgerkit.db.indexes.Index(fields=["kind", "id"], name="idx_recorded_acts_kind"),
                    ledgerkit.db.indexes.Index(
                        fields=["username", "id"],
                        name="idx_recorded_acts_username",
                        condition=Q(token_id=None) & ~Q(username=""),
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(kind="execution", workflow_execution_id__isnull=False, bulk_action_id=None)
                        | Q(kind="bulk_action", workflow_execution_id=None, bulk_action_id__isnull=False),
                        name="recorded_act_of_one",
                    ),
                    models.CheckConstraint(condition=Q(act__in=["keep", "release", "stop"]), name="recorded_act_known"),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="errorgroupchange",
            index=ledgerkit.db.indexes.Index(
                fields=["username", "id"],
                name="idx_error_group_changes_username",
                condition=Q(token_id=None) & ~Q(username="") & ~Q(username="upkeep"),
            ),
        ),
        RunSQLFile(SQL / "activity_error_groups.sql", (SQL / "activity_notes.sql").read_text()),
        migrations.AlterField(
            model_name="activity",
            name="kind",
            field=models.CharField(
                choices=[
                    ("execution", "execution"),
                    ("deletion", "deletion of an execution"),
                    ("bulk_action", "bulk action"),
                    ("note", "note"),
                    ("error_group", "error group"),
                    ("workflow", "workflow"),
                    ("node", "node"),
                    ("edge", "edge"),
                    ("token", "token"),
                ],
                verbose_name="kind",
            ),
        ),
    ]
