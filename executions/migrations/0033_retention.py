import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import executions.models.log_removal
import ledgerkit.db.indexes
import ledgerkit.db.models


class Migration(migrations.Migration):
    """Tables of retention: kept runs, calls of upkeep, removed and dropped log lines."""

    dependencies = [
        ("executions", "0032_history_of_facts_roles"),
    ]

    operations = [
        migrations.CreateModel(
            name="KeptRun",
            fields=[
                (
                    "workflow_execution",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        primary_key=True,
                        related_name="kept_mark",
                        serialize=False,
                        to="executions.workflowexecution",
                        verbose_name="workflow execution",
                    ),
                ),
                ("username", models.TextField(db_default="", verbose_name="user")),
                ("reason", models.TextField(db_default="", verbose_name="reason")),
                (
                    "kept_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="time"),
                ),
            ],
            options={
                "verbose_name": "kept run",
                "verbose_name_plural": "kept runs",
                "db_table": "execution_kept_runs",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="LogRemoval",
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
                ("start", models.DateTimeField(verbose_name="from")),
                ("end", models.DateTimeField(verbose_name="to")),
                (
                    "levels",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[("debug", "debug"), ("info", "info"), ("warning", "warning"), ("error", "error")],
                            max_length=20,
                        ),
                        default=list,
                        verbose_name="levels",
                    ),
                ),
                ("days", models.PositiveIntegerField(verbose_name="rule in days")),
                ("number", models.BigIntegerField(verbose_name="lines")),
                ("is_estimate", models.BooleanField(default=False, verbose_name="estimated")),
                ("size", models.BigIntegerField(default=0, verbose_name="bytes")),
                (
                    "files",
                    models.JSONField(
                        db_default=models.Value([], output_field=models.JSONField()),
                        default=list,
                        verbose_name="archive files",
                    ),
                ),
                (
                    "removed_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="removed"),
                ),
            ],
            options={
                "verbose_name": "removal of log lines",
                "verbose_name_plural": "removals of log lines",
                "db_table": "execution_log_removals",
                "ordering": ["start", "id"],
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("start", "end", "levels"), name="one_log_removal_per_period_and_levels"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="UpkeepRun",
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
                    "started_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="started"),
                ),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                ("is_interrupted", models.BooleanField(db_default=False, default=False, verbose_name="interrupted")),
                ("host", models.TextField(verbose_name="host")),
                (
                    "results",
                    models.JSONField(
                        db_default=models.Value([], output_field=models.JSONField()),
                        default=list,
                        verbose_name="results",
                    ),
                ),
            ],
            options={
                "verbose_name": "upkeep",
                "verbose_name_plural": "upkeep",
                "db_table": "upkeep_runs",
                "ordering": ["-started_at", "-id"],
                "default_permissions": ("view",),
                "indexes": [ledgerkit.db.indexes.Index(fields=["-started_at", "-id"], name="idx_upkeep_runs_started")],
            },
        ),
        migrations.CreateModel(
            name="DroppedLines",
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
                ("source", models.TextField(db_default="", verbose_name="source")),
                (
                    "level",
                    models.CharField(
                        choices=[("debug", "debug"), ("info", "info"), ("warning", "warning"), ("error", "error")],
                        max_length=20,
                        verbose_name="level",
                    ),
                ),
                ("number", models.BigIntegerField(verbose_name="lines")),
                ("seqs", executions.models.log_removal.Int8MultiRange(db_default=models.Value("{}"))),
                (
                    "workflow_execution",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="dropped_lines",
                        to="executions.workflowexecution",
                        verbose_name="workflow execution",
                    ),
                ),
            ],
            options={
                "verbose_name": "dropped lines",
                "verbose_name_plural": "dropped lines",
                "db_table": "execution_dropped_lines",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workflow_execution", "source"), name="dropped_lines_of_run_and_source"
                    )
                ],
            },
        ),
    ]
