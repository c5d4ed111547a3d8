from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
DROP FUNCTION tell_of_deletion() CASCADE;
ALTER TABLE execution_deletions DROP COLUMN written_by;
"""


class Migration(migrations.Migration):
    """Streams tell of runs that are deleted."""

    dependencies = [
        ("executions", "0013_live"),
    ]

    operations = [RunSQLFile(SQL / "live_deletions.sql", BACK)]
