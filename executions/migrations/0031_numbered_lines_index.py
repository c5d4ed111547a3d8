from django.db import migrations, models

from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import AddIndexOnline


class Migration(migrations.Migration):
    """Not atomic, so that writers of lines do not wait: each partition is read once, and no row is in the index yet."""

    atomic = False

    dependencies = [
        ("executions", "0030_numbered_lines"),
    ]

    operations = [
        AddIndexOnline(
            model_name="executionlog",
            index=Index(
                condition=models.Q(seq__isnull=False),
                fields=["workflow_execution", "source", "seq"],
                name="idx_execution_logs_numbered",
            ),
        ),
    ]
