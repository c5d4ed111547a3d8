from django.db import migrations, models

from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import AddIndexOnline


class Migration(migrations.Migration):
    """The monitor finds the newest failures among the failed runs alone."""

    atomic = False

    dependencies = [
        ("executions", "0046_flat_lists"),
    ]

    operations = [
        AddIndexOnline(
            "workflowexecution",
            Index(
                fields=["-ended_at", "-id"],
                name="idx_workflow_executions_failed",
                condition=models.Q(status="failed"),
            ),
        ),
    ]
