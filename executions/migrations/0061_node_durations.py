from django.db import migrations
from django.db.models import DurationField, ExpressionWrapper, F, Q

from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import AddIndexOnline


class Migration(migrations.Migration):
    """Index of the durations of node executions, of those that ran and ended: one entry each, when they end."""

    atomic = False

    dependencies = [
        ("executions", "0060_saved_views_of_lists"),
    ]

    operations = [
        AddIndexOnline(
            "nodeexecution",
            Index(
                ExpressionWrapper(F("ended_at") - F("started_at"), DurationField()),
                F("id"),
                name="idx_node_executions_duration",
                condition=Q(started_at__isnull=False, ended_at__isnull=False),
            ),
        ),
    ]
