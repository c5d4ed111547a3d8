from pathlib import Path

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import executions.models.rollup
import ledgerkit.db.models
from ledgerkit.db.online_operations import LockTables
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
DROP FUNCTION note_changed_hours(), forget_rollups() CASCADE;
DROP FUNCTION close_hours(integer), count_hours(uuid[]), add_up_days(), age_of_oldest_writer();
DROP FUNCTION usual_durations(timestamptz, uuid[]), ended_runs_by_hour(timestamptz), periods_since(timestamptz, interval);
DROP FUNCTION duration_bucket(interval), bucket_seconds(integer), hour_of(timestamptz), day_of(timestamptz);
DROP VIEW ended_runs;
"""


class Migration(migrations.Migration):
    """Rollups are empty at first: until upkeep has run, pages count the runs themselves."""

    dependencies = [
        ("executions", "0039_first_removal"),
    ]

    operations = [
        LockTables("workflow_executions"),
        migrations.CreateModel(
            name="RollupChange",
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
                ("hour", models.DateTimeField(verbose_name="hour")),
                ("written_by", executions.models.rollup.TransactionIdField()),
            ],
            options={
                "verbose_name": "changed hour",
                "verbose_name_plural": "changed hours",
                "db_table": "rollup_changes",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("hour", "written_by"), name="one_change_per_hour_and_transaction")
                ],
            },
        ),
        migrations.CreateModel(
            name="RollupPeriod",
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
                ("until", models.DateTimeField(verbose_name="to")),
                ("seen_by", executions.models.rollup.TransactionIdField()),
                ("is_closed", models.BooleanField(db_default=False, verbose_name="closed")),
            ],
            options={
                "verbose_name": "period of a rollup",
                "verbose_name_plural": "periods of a rollup",
                "db_table": "rollup_periods",
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("start", "until"), name="one_rollup_per_period")],
            },
        ),
        migrations.CreateModel(
            name="RollupResult",
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
                ("workflow_id", models.UUIDField(verbose_name="workflow")),
                ("completed", models.BigIntegerField(verbose_name="completed")),
                ("failed", models.BigIntegerField(verbose_name="failed")),
                ("ended", models.BigIntegerField(verbose_name="ended")),
                (
                    "buckets",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), verbose_name="buckets of durations"
                    ),
                ),
                (
                    "numbers",
                    django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), verbose_name="runs"),
                ),
                (
                    "period",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="results",
                        to="executions.rollupperiod",
                        verbose_name="period of a rollup",
                    ),
                ),
            ],
            options={
                "verbose_name": "result of a period",
                "verbose_name_plural": "results of a period",
                "db_table": "rollup_results",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("period", "workflow_id"), name="one_result_per_period_and_workflow")
                ],
            },
        ),
        RunSQLFile(SQL / "rollups.sql", BACK),
    ]
