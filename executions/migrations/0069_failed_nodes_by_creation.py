from django.db import migrations
from django.db.models import Q

from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import AddIndexOnline


class Migration(migrations.Migration):
    """Lists of failed node executions, and of those with a text in their error, read the rows that they show."""

    atomic = False

    dependencies = [
        ("executions", "0068_failed_runs_by_creation"),
    ]

    operations = [
        AddIndexOnline(
            "nodeexecution",
            Index(
                fields=["-created_at", "-id"],
                name="idx_node_executions_failed_created",
                condition=Q(status="failed") | Q(error_message__isnull=False),
            ),
        ),
        # What the planner knows of how many errors have a text.
        migrations.RunSQL(
            [
                "CREATE STATISTICS IF NOT EXISTS node_execution_error_text ON (upper(error_message)) FROM node_executions",
                "ANALYZE node_executions",
            ],
            "DROP STATISTICS IF EXISTS node_execution_error_text",
        ),
    ]
