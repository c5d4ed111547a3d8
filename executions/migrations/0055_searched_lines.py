from django.contrib.postgres.indexes import OpClass
from django.db import migrations
from django.db.models import Q
from django.db.models.functions import Upper

from ledgerkit.db.indexes import GinIndex
from ledgerkit.db.online_operations import AddIndexOnline


class Migration(migrations.Migration):
    """Warnings and errors are found across runs by a text in their message."""

    atomic = False

    dependencies = [
        ("executions", "0054_error_groups"),
    ]

    operations = [
        AddIndexOnline(
            "executionlog",
            GinIndex(
                OpClass(Upper("message"), "gin_trgm_ops"),
                name="idx_execution_logs_message_text",
                condition=Q(level__in=["warning", "error"]),
            ),
        ),
    ]
