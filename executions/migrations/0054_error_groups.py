from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import ledgerkit.db.indexes
import ledgerkit.db.models
from ledgerkit.db.online_operations import LockTables
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
DROP TRIGGER count_error_occurrences ON error_occurrences;
DROP TRIGGER history_insert ON error_groups;
DROP TRIGGER history_update ON error_groups;
DROP TRIGGER append_only ON error_group_changes;
DROP FUNCTION count_error_occurrences(), count_error_groups(uuid[]), history_of_error_group(),
    note_error_group(uuid, text, jsonb), error_group_changes_append_only();
"""


class Migration(migrations.Migration):
    """Groups of errors, their fingerprints and occurrences. All tables are new; no row of the ledger changes."""

    dependencies = [
        ("executions", "0053_bulk_actions"),
        ("workflows", "0009_messages"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        LockTables("workflows", "workflow_executions"),
        migrations.CreateModel(
            name="ErrorGroup",
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
                    "version",
                    models.PositiveIntegerField(db_default=1, default=1, editable=False, verbose_name="version"),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="created"
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="updated"
                    ),
                ),
                ("title", models.TextField(db_default="", default="", verbose_name="error")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("acknowledged", "acknowledged"),
                            ("muted", "muted"),
                            ("resolved", "resolved"),
                        ],
                        db_default="open",
                        default="open",
                        max_length=50,
                        verbose_name="state",
                    ),
                ),
                ("muted_until", models.DateTimeField(null=True, verbose_name="muted until")),
                ("resolved_at", models.DateTimeField(null=True, verbose_name="resolved")),
                ("is_regression", models.BooleanField(db_default=False, default=False, verbose_name="regression")),
                ("seen", models.PositiveBigIntegerField(db_default=0, default=0, verbose_name="failures")),
                ("first_seen", models.DateTimeField(verbose_name="first seen")),
                ("last_seen", models.DateTimeField(verbose_name="last seen")),
                (
                    "opened_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="new since"
                    ),
                ),
                (
                    "assignee",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.DB_SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="assignee",
                    ),
                ),
                (
                    "merged_into",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.DB_SET_NULL,
                        related_name="merged",
                        to="executions.errorgroup",
                        verbose_name="merged into",
                    ),
                ),
            ],
            options={
                "verbose_name": "error group",
                "verbose_name_plural": "error groups",
                "db_table": "error_groups",
                "ordering": ["-opened_at", "-id"],
                "default_permissions": ("view", "change"),
            },
        ),
        migrations.CreateModel(
            name="ErrorFingerprint",
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
                ("digest", models.CharField(max_length=32, verbose_name="digest")),
                (
                    "rule",
                    models.CharField(
                        choices=[
                            ("traceback", "exception and own frames, else message"),
                            ("message", "exception and message"),
                            ("class", "class of the exception alone"),
                            ("node", "node alone"),
                        ],
                        max_length=50,
                        verbose_name="grouped by",
                    ),
                ),
                ("title", models.TextField(db_default="", default="", verbose_name="error")),
                (
                    "values",
                    models.JSONField(
                        db_default=models.Value({}, output_field=models.JSONField()),
                        default=dict,
                        verbose_name="values",
                    ),
                ),
                ("seen", models.PositiveBigIntegerField(db_default=0, default=0, verbose_name="failures")),
                ("first_seen", models.DateTimeField(verbose_name="first seen")),
                ("last_seen", models.DateTimeField(verbose_name="last seen")),
                (
                    "workflow",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="+",
                        to="workflows.workflow",
                        verbose_name="workflow",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="fingerprints",
                        to="executions.errorgroup",
                        verbose_name="error group",
                    ),
                ),
            ],
            options={
                "verbose_name": "fingerprint of errors",
                "verbose_name_plural": "fingerprints of errors",
                "db_table": "error_fingerprints",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ErrorGroupChange",
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
                    "act",
                    models.CharField(
                        choices=[
                            ("new", "new"),
                            ("regression", "came back"),
                            ("change", "changed"),
                            ("note", "note"),
                            ("merge", "merged"),
                            ("split", "split"),
                        ],
                        max_length=50,
                        verbose_name="act",
                    ),
                ),
                (
                    "fields",
                    models.JSONField(
                        db_default=models.Value({}, output_field=models.JSONField()),
                        default=dict,
                        verbose_name="changed fields",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="changes",
                        to="executions.errorgroup",
                        verbose_name="error group",
                    ),
                ),
            ],
            options={
                "verbose_name": "change of an error group",
                "verbose_name_plural": "changes of error groups",
                "db_table": "error_group_changes",
                "ordering": ["-happened_at", "-id"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ErrorNode",
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
                ("node_name", models.TextField(verbose_name="node")),
                ("seen", models.PositiveBigIntegerField(verbose_name="failures")),
                ("last_seen", models.DateTimeField(verbose_name="last seen")),
                (
                    "fingerprint",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="nodes",
                        to="executions.errorfingerprint",
                        verbose_name="fingerprint of errors",
                    ),
                ),
            ],
            options={
                "verbose_name": "node of an error",
                "verbose_name_plural": "nodes of an error",
                "db_table": "error_nodes",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ErrorOccurrence",
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
                ("node_name", models.TextField(db_default="", default="", verbose_name="node")),
                ("attempt", models.PositiveIntegerField(verbose_name="attempt")),
                ("happened_at", models.DateTimeField(verbose_name="time")),
                (
                    "fingerprint",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="occurrences",
                        to="executions.errorfingerprint",
                        verbose_name="fingerprint of errors",
                    ),
                ),
                (
                    "node_execution",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="executions.nodeexecution",
                        verbose_name="node execution",
                    ),
                ),
                (
                    "workflow_execution",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="+",
                        to="executions.workflowexecution",
                        verbose_name="workflow execution",
                    ),
                ),
            ],
            options={
                "verbose_name": "occurrence of an error",
                "verbose_name_plural": "occurrences of errors",
                "db_table": "error_occurrences",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ErrorScan",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                (
                    "scanned_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="time"),
                ),
                ("since", models.TextField(db_default="", default="", verbose_name="since")),
                ("until", models.TextField(db_default="", default="", verbose_name="until")),
                ("place", models.JSONField(null=True, verbose_name="place")),
                ("backfill_from", models.DateTimeField(null=True, verbose_name="backfilled from")),
            ],
            options={
                "db_table": "error_scans",
                "default_permissions": (),
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="error_scan_is_one")],
            },
        ),
        migrations.CreateModel(
            name="ErrorDay",
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
                ("day", models.DateField(verbose_name="day")),
                ("seen", models.PositiveBigIntegerField(verbose_name="failures")),
                (
                    "fingerprint",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="days",
                        to="executions.errorfingerprint",
                        verbose_name="fingerprint of errors",
                    ),
                ),
            ],
            options={
                "verbose_name": "day of an error",
                "verbose_name_plural": "days of an error",
                "db_table": "error_days",
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("fingerprint", "day"), name="error_day_once")],
            },
        ),
        migrations.AddIndex(
            model_name="errorgroup",
            index=ledgerkit.db.indexes.Index(
                condition=models.Q(("merged_into", None)), fields=["-opened_at", "-id"], name="idx_error_groups_opened"
            ),
        ),
        migrations.AddIndex(
            model_name="errorgroup",
            index=ledgerkit.db.indexes.Index(
                condition=models.Q(("merged_into", None)),
                fields=["-last_seen", "-id"],
                name="idx_error_groups_last_seen",
            ),
        ),
        migrations.AddConstraint(
            model_name="errorgroup",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["open", "acknowledged", "muted", "resolved"])),
                name="error_group_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="errorgroup",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("muted_until__isnull", False), ("state", "muted")),
                    models.Q(models.Q(("state", "muted"), _negated=True), ("muted_until", None)),
                    _connector="OR",
                ),
                name="error_group_muted_until",
            ),
        ),
        migrations.AddConstraint(
            model_name="errorgroup",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("resolved_at__isnull", False), ("state", "resolved")),
                    models.Q(models.Q(("state", "resolved"), _negated=True), ("resolved_at", None)),
                    _connector="OR",
                ),
                name="error_group_resolved_at",
            ),
        ),
        migrations.AddConstraint(
            model_name="errorgroup",
            constraint=models.CheckConstraint(
                condition=models.Q(("merged_into", models.F("id")), _negated=True),
                name="error_group_not_merged_into_itself",
            ),
        ),
        migrations.AddIndex(
            model_name="errorfingerprint",
            index=ledgerkit.db.indexes.Index(fields=["digest"], name="idx_error_fingerprints_digest"),
        ),
        migrations.AddConstraint(
            model_name="errorfingerprint",
            constraint=models.UniqueConstraint(fields=("workflow", "digest"), name="error_fingerprint_once"),
        ),
        migrations.AddIndex(
            model_name="errorgroupchange",
            index=ledgerkit.db.indexes.Index(
                fields=["group", "-happened_at", "-id"], name="idx_error_group_changes_group"
            ),
        ),
        migrations.AddConstraint(
            model_name="errornode",
            constraint=models.UniqueConstraint(fields=("fingerprint", "node_name"), name="error_node_once"),
        ),
        migrations.AddIndex(
            model_name="erroroccurrence",
            index=ledgerkit.db.indexes.Index(
                fields=["fingerprint", "-happened_at", "-id"], name="idx_error_occurrences_fingerprint"
            ),
        ),
        migrations.AddConstraint(
            model_name="erroroccurrence",
            constraint=models.UniqueConstraint(
                fields=("workflow_execution", "attempt", "fingerprint"), name="error_occurrence_once"
            ),
        ),
        RunSQLFile(SQL / "error_groups.sql", BACK),
    ]
