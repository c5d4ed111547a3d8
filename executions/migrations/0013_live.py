from pathlib import Path

from django.db import migrations

from ledgerkit.db.online_operations import CreateIndexOnline, InTransaction, has_column
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
    """Add the columns of the streams. No model has them: no list reads them, and no writer names them."""

    atomic = False

    dependencies = [
        ("executions", "0012_deletions"),
    ]

    operations = [
        InTransaction(
            [RunSQLFile(SQL / "live.sql", BACK)],
            tables=["execution_logs", "node_executions", "execution_history"],
            done=has_column("execution_history", "written_by"),
        ),
        CreateIndexOnline(
            "idx_execution_logs_written_by",
            "execution_logs",
            "(workflow_execution_id, written_by) WHERE written_by IS NOT NULL",
        ),
        CreateIndexOnline(
            "idx_execution_history_written_by",
            "execution_history",
            "(written_by, id) WHERE written_by IS NOT NULL AND node_execution_id IS NULL",
        ),
    ]
