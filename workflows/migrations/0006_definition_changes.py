from pathlib import Path

import django.db.models.functions.datetime
from django.db import migrations, models

import ledgerkit.db.models
from ledgerkit.db.operations import RunSQLFile, TrackChanges

SQL = Path(__file__).parents[1] / "sql"
BACK = """
DROP FUNCTION
    definitions_note(), kept_value(jsonb), changed_fields(jsonb, jsonb), definition_name(text, jsonb),
    write_definition_changes(text, jsonb),
    definition_inserted(), definition_updated(), definition_deleted(), definition_changes_append_only(),
    definition_changes_emptied(), definitions_actor(text)
CASCADE
"""


class Migration(migrations.Migration):
    """Changes of definitions, and of tokens (in their own migration), are recorded as those of runs are."""

    dependencies = [
        ("workflows", "0005_names"),
    ]

    operations = [
        migrations.CreateModel(
            name="DefinitionChange",
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
                        choices=[("workflow", "workflow"), ("node", "node"), ("edge", "edge"), ("token", "token")],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                ("subject_id", models.UUIDField(verbose_name="id")),
                ("subject_name", models.TextField(db_default="", verbose_name="name")),
                (
                    "act",
                    models.CharField(
                        choices=[("create", "create"), ("change", "change"), ("delete", "delete")],
                        max_length=20,
                        verbose_name="act",
                    ),
                ),
                ("rows", models.JSONField(verbose_name="changes")),
                ("more", models.PositiveIntegerField(db_default=0, verbose_name="further rows")),
            ],
            options={
                "verbose_name": "change of a definition or a token",
                "verbose_name_plural": "changes of definitions and tokens",
                "db_table": "definition_changes",
                "ordering": ["-happened_at", "-id"],
                "default_permissions": ("view",),
                "indexes": [
                    ledgerkit.db.indexes.Index(fields=["-happened_at", "-id"], name="idx_definition_changes_happened"),
                    ledgerkit.db.indexes.Index(
                        fields=["subject_id", "-happened_at", "-id"], name="idx_definition_changes_subject"
                    ),
                ],
            },
        ),
        RunSQLFile(SQL / "definition_changes.sql", BACK),
        TrackChanges("workflows", "workflow"),
        TrackChanges("nodes", "node"),
        TrackChanges("edges", "edge"),
    ]
