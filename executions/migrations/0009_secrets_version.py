from django.db import migrations, models

from ledgerkit.db.online_operations import LockTables


class Migration(migrations.Migration):
    """Add the version of a run's secrets, which the UPDATE of a verb matches. With a constant default the column is
    added at once, however many runs there are."""

    dependencies = [
        ("executions", "0008_monitor_indexes"),
    ]

    operations = [
        LockTables("workflow_executions"),
        migrations.AddField(
            model_name="workflowexecution",
            name="secrets_version",
            field=models.PositiveIntegerField(
                db_default=0, default=0, editable=False, verbose_name="version of its secrets"
            ),
        ),
    ]
