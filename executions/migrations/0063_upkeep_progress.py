from django.db import migrations, models

from ledgerkit.db.online_operations import LockTables


class Migration(migrations.Migration):
    """The last progress of an upkeep. The column is null in the rows that are there."""

    dependencies = [
        ("executions", "0062_unstarted_runs"),
    ]

    operations = [
        LockTables("upkeep_runs"),
        migrations.AddField("upkeeprun", "progressed_at", models.DateTimeField("last progress", null=True)),
    ]
