from pathlib import Path

from django.db import migrations

from ledgerkit.db.online_operations import CreateIndexOnline, InTransaction, has_column
from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
DROP FUNCTION tell_of_deletion() CASCADE;
ALTER TABLE execution_deletions DROP COLUMN written_by;
"""


class Migration(migrations.Migration):
    """Send deletions of runs in streams."""

    atomic = False

    dependencies = [
        ("executions", "0013_live"),
    ]

    operations = [
        InTransaction(
            [RunSQLFile(SQL / "live_deletions.sql", BACK)],
            tables=["execution_deletions"],
            done=has_column("execution_deletions", "written_by"),
        ),
        CreateIndexOnline(
            "idx_execution_deletions_written_by",
            "execution_deletions",
            "(written_by, id) WHERE written_by IS NOT NULL",
        ),
    ]
