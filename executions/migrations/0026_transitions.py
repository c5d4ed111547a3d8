from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
DROP FUNCTION
    move_run(uuid, integer, text[], text, jsonb, text, boolean, text, text, text, text, timestamptz),
    move_node(uuid, uuid, integer, text[], text, jsonb, text, text, boolean, text, text, timestamptz)
"""


class Migration(migrations.Migration):
    """A transition is one call of the database."""

    dependencies = [
        ("executions", "0025_events"),
    ]

    operations = [RunSQLFile(SQL / "transitions.sql", BACK)]
