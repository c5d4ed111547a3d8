import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """The first time of a removal of log lines."""

    dependencies = [
        ("executions", "0038_cluster_of_archive_files"),
    ]

    operations = [
        migrations.AddField(
            model_name="logremoval",
            name="first_removed_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(), verbose_name="first removed"
            ),
        ),
        migrations.RunSQL("UPDATE execution_log_removals SET first_removed_at = removed_at", migrations.RunSQL.noop),
    ]
