from django.db import migrations

from ledgerkit.db.online_operations import LockTables


class Migration(migrations.Migration):
    """Drop the version of the secrets: a verb matches the encrypted text itself."""

    dependencies = [
        ("executions", "0022_retry_run"),
    ]

    operations = [
        LockTables("workflow_executions"),
        migrations.RemoveField(model_name="workflowexecution", name="secrets_version"),
    ]
