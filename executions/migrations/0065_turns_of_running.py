from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"


class Migration(migrations.Migration):
    """The turn of a queued run is counted from the deletion of a run that was running until then."""

    dependencies = [
        ("executions", "0064_turns_after_deletions"),
    ]

    operations = [RunSQLFile(SQL / "turns.sql", (SQL / "turn_since.sql").read_text())]
