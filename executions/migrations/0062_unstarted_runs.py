from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = "DROP FUNCTION unstarted_runs(uuid[], float8), turn_since(uuid)"


class Migration(migrations.Migration):
    """Functions that find the queued runs whose turn it is and that nobody starts, and since when it is their turn."""

    dependencies = [
        ("executions", "0061_node_durations"),
    ]

    operations = [RunSQLFile(SQL / "unstarted.sql", BACK)]
