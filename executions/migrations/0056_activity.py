from pathlib import Path

import django.db.models.functions.datetime
from django.db import migrations, models

import ledgerkit.db.models
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"


class Migration(migrations.Migration):
    """A view of what people and programs did."""

    dependencies = [
        ("executions", "0055_searched_lines"),
        ("workflows", "0009_messages"),
    ]

    operations = [
        RunSQLFile(SQL / "activity.sql", "DROP VIEW activity"),
        migrations.CreateModel(
            name="Activity",
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
                        choices=[
                            ("execution", "execution"),
                            ("deletion", "deletion of an execution"),
                            ("bulk_action", "bulk action"),
                            ("workflow", "workflow"),
                            ("node", "node"),
                            ("edge", "edge"),
                            ("token", "token"),
                        ],
                        verbose_name="kind",
                    ),
                ),
                ("act", models.CharField(verbose_name="act")),
                ("run_id", models.UUIDField(null=True, verbose_name="workflow execution")),
                ("node_id", models.UUIDField(null=True, verbose_name="node execution")),
                ("subject_id", models.UUIDField(null=True, verbose_name="id")),
                ("subject_name", models.TextField(null=True, verbose_name="name")),
                (
                    "from_status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("running", "running"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                            ("cancelled", "cancelled"),
                        ],
                        null=True,
                        verbose_name="from",
                    ),
                ),
                (
                    "to_status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("running", "running"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                            ("cancelled", "cancelled"),
                        ],
                        null=True,
                        verbose_name="to",
                    ),
                ),
            ],
            options={
                "verbose_name": "activity",
                "verbose_name_plural": "activity",
                "db_table": "activity",
                "ordering": ["-id"],
                "managed": False,
                "default_permissions": (),
            },
        ),
    ]
