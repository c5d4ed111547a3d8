import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import ledgerkit.db.models


class Migration(migrations.Migration):
    """Records of the archive's files and of the runs in them."""

    dependencies = [
        ("executions", "0033_retention"),
    ]

    operations = [
        migrations.CreateModel(
            name="ArchiveFile",
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
                ("name", models.TextField(unique=True, verbose_name="name")),
                (
                    "kind",
                    models.CharField(
                        choices=[("runs", "runs"), ("lines", "log lines")], max_length=20, verbose_name="kind"
                    ),
                ),
                ("day", models.DateField(verbose_name="day")),
                ("sha256", models.CharField(max_length=64, verbose_name="SHA-256")),
                ("size", models.BigIntegerField(verbose_name="bytes")),
                ("run_count", models.BigIntegerField(verbose_name="runs")),
                ("row_count", models.BigIntegerField(verbose_name="rows")),
                ("snapshot", models.TextField(verbose_name="snapshot")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="created"
                    ),
                ),
            ],
            options={
                "verbose_name": "archive file",
                "verbose_name_plural": "archive files",
                "db_table": "execution_archive_files",
                "ordering": ["name"],
                "default_permissions": (),
                "indexes": [models.Index(fields=["kind", "day"], name="idx_archive_files_day")],
            },
        ),
        migrations.CreateModel(
            name="ArchivedRun",
            fields=[
                (
                    "workflow_execution_id",
                    models.UUIDField(primary_key=True, serialize=False, verbose_name="workflow execution"),
                ),
                ("version", models.PositiveIntegerField(verbose_name="version")),
                ("workflow_id", models.UUIDField(verbose_name="workflow id")),
                ("workflow_name", models.TextField(db_default="", verbose_name="workflow")),
                ("made_at", models.DateTimeField(verbose_name="created")),
                ("restored_at", models.DateTimeField(null=True, verbose_name="restored")),
                (
                    "file",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="archived_runs",
                        to="executions.archivefile",
                        verbose_name="archive file",
                    ),
                ),
            ],
            options={
                "verbose_name": "archived run",
                "verbose_name_plural": "archived runs",
                "db_table": "execution_archived_runs",
                "default_permissions": (),
            },
        ),
    ]
