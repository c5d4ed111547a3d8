from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
# Also the functions that 0043 made of them.
BACK = """
DROP FUNCTION IF EXISTS
    move_run(uuid, integer, text[], text, jsonb, text, boolean, text, text, text, text, timestamptz),
    move_run(uuid, integer, text[], text, jsonb, text, boolean, text, text, text, text, timestamptz, text),
    move_node(uuid, uuid, integer, text[], text, jsonb, text, text, boolean, text, text, timestamptz),
    move_node(uuid, uuid, integer, text[], text, jsonb, text, text, boolean, text, text, timestamptz, text)
"""


class Migration(migrations.Migration):
    """A transition is one call of the database."""

    dependencies = [
        ("executions", "0025_events"),
    ]

    operations = [RunSQLFile(SQL / "transitions.sql", BACK)]
