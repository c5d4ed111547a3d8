from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
WITHOUT = """
DROP FUNCTION IF EXISTS
    move_run(uuid, integer, text[], text, jsonb, text, boolean, text, text, text, text, timestamptz),
    move_node(uuid, uuid, integer, text[], text, jsonb, text, text, boolean, text, text, timestamptz)
"""


class Migration(migrations.Migration):
    """Transitions, retries and facts store the error code. The functions of databases that ran the former migrations
    before there was one are replaced; nothing is reverted, because the new functions also take the calls without it."""

    dependencies = [
        ("executions", "0042_leases"),
    ]

    operations = [
        migrations.RunSQL(WITHOUT, migrations.RunSQL.noop),
        RunSQLFile(SQL / "transitions.sql", migrations.RunSQL.noop),
        RunSQLFile(SQL / "retry_run.sql", migrations.RunSQL.noop),
        RunSQLFile(SQL / "record_facts.sql", migrations.RunSQL.noop),
    ]
