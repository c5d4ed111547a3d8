from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
WITHOUT = """
DROP FUNCTION IF EXISTS
    move_run(uuid, integer, text[], text, jsonb, text, boolean, text, text, text, text),
    move_node(uuid, uuid, integer, text[], text, jsonb, text, text, boolean, text, text)
"""


class Migration(migrations.Migration):
    """A transition may have the engine's own time. The functions of databases that ran 0026 before it had one are
    replaced; nothing is reverted, because the new functions also take the calls without a time."""

    dependencies = [
        ("executions", "0026_transitions"),
    ]

    operations = [
        migrations.RunSQL(WITHOUT, migrations.RunSQL.noop),
        RunSQLFile(SQL / "transitions.sql", migrations.RunSQL.noop),
    ]
