from django.db import migrations, models

from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import AddIndexOnline


class Migration(migrations.Migration):
    """An index of the changes that switched a workflow on or off, or moved it to or from the trash."""

    atomic = False

    dependencies = [
        ("workflows", "0009_messages"),
    ]

    operations = [
        AddIndexOnline(
            model_name="definitionchange",
            index=Index(
                condition=models.Q(
                    models.Q(
                        ("rows__0__fields__has_key", "is_active"),
                        ("rows__0__fields__has_key", "deleted_at"),
                        _connector="OR",
                    ),
                    ("act", "change"),
                    ("kind", "workflow"),
                ),
                fields=["subject_id", "-happened_at"],
                name="idx_definition_changes_switches",
            ),
        ),
    ]
