from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
ROLLUPS = (SQL / "rollups.sql").read_text()
START = ROLLUPS.index("CREATE FUNCTION usual_durations")
FORMER = ROLLUPS[START : ROLLUPS.index("$$;", START) + 3]


class Migration(migrations.Migration):
    """Usual durations of workflows are added up in two thirds of the time."""

    dependencies = [
        ("executions", "0069_failed_nodes_by_creation"),
    ]

    operations = [
        RunSQLFile(
            SQL / "usual_durations.sql",
            FORMER.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"),
        ),
    ]
