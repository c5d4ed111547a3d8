from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"


class Migration(migrations.Migration):
    """A new node execution is one call of the database."""

    dependencies = [
        ("executions", "0027_engine_times"),
    ]

    operations = [
        RunSQLFile(
            SQL / "add_node.sql", "DROP FUNCTION add_node(uuid, uuid, uuid, integer, jsonb, boolean, text, timestamptz)"
        )
    ]
