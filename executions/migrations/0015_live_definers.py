from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
ALTER FUNCTION tell_of_rows() SECURITY INVOKER RESET search_path;
ALTER FUNCTION tell_of_move() SECURITY INVOKER RESET search_path;
ALTER FUNCTION tell_of_deletion() SECURITY INVOKER RESET search_path;
"""


class Migration(migrations.Migration):
    """Let roles write log lines without the right to read the table of watches."""

    dependencies = [
        ("executions", "0014_live_deletions"),
    ]

    operations = [RunSQLFile(SQL / "live_definers.sql", BACK)]
