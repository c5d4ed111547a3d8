from django.db import migrations
from django.db.models import Q

from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import AddIndexOnline


class Migration(migrations.Migration):
    """Lists of failed runs, of all or of a workflow, and of a workflow's errors read the rows that they show."""

    atomic = False

    dependencies = [
        ("executions", "0067_activity_of_users"),
    ]

    operations = [
        AddIndexOnline(
            "workflowexecution",
            Index(
                fields=["-created_at", "-id"],
                name="idx_workflow_executions_failed_created",
                condition=Q(status="failed"),
            ),
        ),
        AddIndexOnline(
            "workflowexecution",
            Index(
                fields=["workflow", "-created_at", "-id"],
                name="idx_workflow_executions_workflow_failed",
                condition=Q(status="failed") | Q(error_message__isnull=False),
            ),
        ),
    ]
