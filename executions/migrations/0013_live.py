from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
DROP FUNCTION tell_of_rows(), tell_of_move() CASCADE;
DROP TABLE execution_watches;
ALTER TABLE execution_history DROP COLUMN written_by;
ALTER TABLE node_executions DROP COLUMN written_by;
ALTER TABLE execution_logs DROP COLUMN written_by;
"""


class Migration(migrations.Migration):
    """The new columns are the streams' own and stand in no model: no list reads them, and no writer names them."""

    dependencies = [
        ("executions", "0012_deletions"),
    ]

    operations = [RunSQLFile(SQL / "live.sql", BACK)]
