import uuid

import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.functions.datetime
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

import ledgerkit.db.models
from ledgerkit.db.online_operations import LockTables

FAILED = models.Q(("error_code", ""), ("status", "failed"), _connector="OR")


class Migration(migrations.Migration):
    """Leases of attempts, and why upkeep failed a row. Adding the columns rewrites nothing."""

    dependencies = [
        ("executions", "0041_deletion_records"),
    ]

    operations = [
        LockTables("workflow_executions", "node_executions", "workflow_execution_attempts", "node_execution_attempts"),
        migrations.CreateModel(
            name="WorkflowExecutionLease",
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
                ("attempt", models.PositiveIntegerField(verbose_name="attempt")),
                (
                    "token",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid.uuid4,
                        verbose_name="token",
                    ),
                ),
                ("worker", models.CharField(db_default="", max_length=200, verbose_name="worker")),
                (
                    "seconds",
                    models.PositiveIntegerField(
                        help_text="Empty: a worker without a lease.", null=True, verbose_name="seconds"
                    ),
                ),
                (
                    "heartbeat_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="last heartbeat"
                    ),
                ),
                ("expires_at", models.DateTimeField(null=True, verbose_name="expires")),
                ("lapsed_at", models.DateTimeField(null=True, verbose_name="ended by upkeep")),
                (
                    "workflow_execution",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="leases",
                        to="executions.workflowexecution",
                    ),
                ),
            ],
            options={
                "verbose_name": "lease of a workflow execution",
                "verbose_name_plural": "leases of workflow executions",
                "db_table": "workflow_execution_leases",
                "ordering": ["attempt"],
                "abstract": False,
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("workflow_execution", "attempt"), name="one_lease_per_attempt_of_run"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="NodeExecutionLease",
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
                ("attempt", models.PositiveIntegerField(verbose_name="attempt")),
                (
                    "token",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid.uuid4,
                        verbose_name="token",
                    ),
                ),
                ("worker", models.CharField(db_default="", max_length=200, verbose_name="worker")),
                (
                    "seconds",
                    models.PositiveIntegerField(
                        help_text="Empty: a worker without a lease.", null=True, verbose_name="seconds"
                    ),
                ),
                (
                    "heartbeat_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), verbose_name="last heartbeat"
                    ),
                ),
                ("expires_at", models.DateTimeField(null=True, verbose_name="expires")),
                ("lapsed_at", models.DateTimeField(null=True, verbose_name="ended by upkeep")),
                (
                    "node_execution",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="leases",
                        to="executions.nodeexecution",
                    ),
                ),
            ],
            options={
                "verbose_name": "lease of a node execution",
                "verbose_name_plural": "leases of node executions",
                "db_table": "node_execution_leases",
                "ordering": ["attempt"],
                "abstract": False,
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("node_execution", "attempt"), name="one_lease_per_attempt_of_node")
                ],
            },
        ),
        migrations.AddField(
            model_name="workflowexecution",
            name="error_code",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                max_length=50,
                verbose_name="error code",
            ),
        ),
        migrations.AddField(
            model_name="nodeexecution",
            name="error_code",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                max_length=50,
                verbose_name="error code",
            ),
        ),
        migrations.AddField(
            model_name="workflowexecutionattempt",
            name="error_code",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                max_length=50,
                verbose_name="error code",
            ),
        ),
        migrations.AddField(
            model_name="nodeexecutionattempt",
            name="error_code",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                max_length=50,
                verbose_name="error code",
            ),
        ),
        AddConstraintNotValid(
            model_name="workflowexecution",
            constraint=models.CheckConstraint(condition=FAILED, name="workflow_execution_code_of_failure"),
        ),
        AddConstraintNotValid(
            model_name="nodeexecution",
            constraint=models.CheckConstraint(condition=FAILED, name="node_execution_code_of_failure"),
        ),
    ]
