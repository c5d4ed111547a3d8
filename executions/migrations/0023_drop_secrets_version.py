from django.db import migrations


class Migration(migrations.Migration):
    """Drop the version of the secrets: a verb matches the encrypted text itself."""

    dependencies = [
        ("executions", "0022_retry_run"),
    ]

    operations = [
        migrations.RemoveField(model_name="workflowexecution", name="secrets_version"),
    ]
