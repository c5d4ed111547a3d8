from django.db import migrations
from django.db.models import Q

from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import AddIndexOnline


class Migration(migrations.Migration):
    """Indexes of the notes and the deletions of each user, for the activity."""

    atomic = False

    dependencies = [
        ("executions", "0066_share_views_of_lists"),
    ]

    operations = [
        AddIndexOnline(
            "runnote",
            Index(
                fields=["username", "id"],
                name="idx_execution_notes_username",
                condition=Q(token_id=None) & ~Q(username=""),
            ),
        ),
        AddIndexOnline(
            "deletion",
            Index(
                fields=["username", "id"],
                name="idx_execution_deletions_username",
                condition=Q(token_id=None) & ~Q(username="") & ~Q(username="upkeep"),
            ),
        ),
    ]
