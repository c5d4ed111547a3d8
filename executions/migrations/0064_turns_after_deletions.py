from pathlib import Path

from django.db import migrations, models

from ledgerkit.db.indexes import Index
from ledgerkit.db.online_operations import AddIndexOnline
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"


class Migration(migrations.Migration):
    """The turn of a queued run is counted from the deletion of a run that was before it. An index of the deletions that
    matter for this."""

    atomic = False

    dependencies = [
        ("executions", "0063_upkeep_progress"),
    ]

    operations = [
        AddIndexOnline(
            "deletion",
            Index(
                fields=["workflow_id", "-happened_at"],
                name="idx_execution_deletions_workflow",
                condition=~models.Q(through="in_process", username="upkeep"),
            ),
        ),
        RunSQLFile(SQL / "turn_since.sql", migrations.RunSQL.noop),
    ]
