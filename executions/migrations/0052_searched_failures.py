from django.contrib.postgres.indexes import OpClass
from django.db import migrations
from django.db.models import Q
from django.db.models.functions import Upper

from ledgerkit.db.indexes import GinIndex, Index
from ledgerkit.db.online_operations import AddIndexOnline


class Migration(migrations.Migration):
    """Failed nodes are found by a text in their error, and runs by the name of a node that failed."""

    atomic = False

    dependencies = [
        ("executions", "0051_failed_runs_by_duration"),
    ]

    operations = [
        AddIndexOnline(
            "nodeexecution",
            GinIndex(
                OpClass(Upper("error_message"), "gin_trgm_ops"),
                name="idx_node_executions_error_text",
                condition=Q(error_message__isnull=False),
            ),
        ),
        AddIndexOnline(
            "nodeexecution",
            Index(
                fields=["node_name", "workflow_execution"],
                name="idx_node_executions_failed_name",
                condition=Q(status="failed"),
            ),
        ),
    ]
