from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
DROP FUNCTION overdue_runs(uuid[]), overdue_nodes(uuid[], integer[]), silent_runs(uuid[], float8),
    silent_nodes(uuid[], float8), late_runs(uuid[], timestamptz, integer, float8, float8), first_line_id(timestamptz)
"""


class Migration(migrations.Migration):
    """Functions that find the runs and node executions that are overdue, silent or late."""

    dependencies = [
        ("executions", "0044_error_codes_checked"),
    ]

    operations = [RunSQLFile(SQL / "attention.sql", BACK)]
