from django.db import migrations
from django.db.models import Q

from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import AddIndexOnline


class Migration(migrations.Migration):
    """Indexes of what people did, which hold no reports of engines."""

    atomic = False

    dependencies = [
        ("executions", "0056_activity"),
    ]

    operations = [
        AddIndexOnline(
            "historyentry",
            Index(
                fields=["username", "id"],
                name="idx_execution_history_username",
                condition=Q(token_id=None) & ~Q(username=""),
            ),
        ),
        AddIndexOnline(
            "historyentry",
            Index(
                fields=["id"],
                name="idx_execution_history_by_hand",
                condition=Q(through__in=("admin", "command", "sql")),
            ),
        ),
    ]
