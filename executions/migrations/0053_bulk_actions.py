import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import ledgerkit.db.indexes
import ledgerkit.db.models

VERBS = ["cancel", "retry", "fail", "keep", "release", "delete"]
STATES = ["waiting", "done", "refused"]


class Migration(migrations.Migration):
    """One verb on many runs, and the result of each run."""

    dependencies = [
        ("executions", "0052_searched_failures"),
    ]

    operations = [
        migrations.CreateModel(
            name="BulkAction",
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
                    "verb",
                    models.CharField(
                        choices=[
                            ("cancel", "Cancel"),
                            ("retry", "Retry"),
                            ("fail", "Mark as failed"),
                            ("keep", "Keep"),
                            ("release", "Do not keep any longer"),
                            ("delete", "Delete"),
                        ],
                        max_length=20,
                        verbose_name="action",
                    ),
                ),
                (
                    "filters",
                    models.JSONField(
                        db_default=models.Value({}, output_field=models.JSONField()), verbose_name="filters"
                    ),
                ),
                ("number", models.PositiveIntegerField(verbose_name="runs")),
                ("done", models.PositiveIntegerField(db_default=0, default=0, verbose_name="done")),
                ("refused", models.PositiveIntegerField(db_default=0, default=0, verbose_name="refused")),
                ("stopped_at", models.DateTimeField(null=True, verbose_name="stopped")),
                ("stopped_by", models.TextField(db_default="", default="", verbose_name="stopped by")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
            ],
            options={
                "verbose_name": "bulk action",
                "verbose_name_plural": "bulk actions",
                "db_table": "bulk_actions",
                "ordering": ["-happened_at", "-id"],
                "default_permissions": (),
                "indexes": [
                    ledgerkit.db.indexes.Index(fields=["-happened_at", "-id"], name="idx_bulk_actions_happened"),
                    ledgerkit.db.indexes.Index(
                        condition=models.Q(ended_at=None), fields=["happened_at", "id"], name="idx_bulk_actions_open"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(verb__in=VERBS), name="bulk_action_verb_known")
                ],
            },
        ),
        migrations.CreateModel(
            name="BulkActionRun",
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
                ("workflow_execution_id", models.UUIDField(verbose_name="workflow execution")),
                ("workflow_name", models.TextField(db_default="", verbose_name="workflow")),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "waiting"), ("done", "done"), ("refused", "refused")],
                        db_default="waiting",
                        default="waiting",
                        max_length=20,
                        verbose_name="state",
                    ),
                ),
                ("answer", models.TextField(db_default="", default="", verbose_name="why refused")),
                ("done_at", models.DateTimeField(null=True, verbose_name="time")),
                (
                    "action",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="runs",
                        to="executions.bulkaction",
                    ),
                ),
            ],
            options={
                "verbose_name": "run of a bulk action",
                "verbose_name_plural": "runs of a bulk action",
                "db_table": "bulk_action_runs",
                "ordering": ["id"],
                "default_permissions": (),
                "indexes": [
                    ledgerkit.db.indexes.Index(fields=["action", "state", "id"], name="idx_bulk_action_runs_state")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("action", "workflow_execution_id"), name="bulk_action_run_once"),
                    models.CheckConstraint(condition=models.Q(state__in=STATES), name="bulk_action_run_state_known"),
                ],
            },
        ),
    ]
