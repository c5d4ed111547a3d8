from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BEFORE = (
    (SQL / "edges_acyclic.sql")
    .read_text()
    .split("CREATE TRIGGER")[0]
    .replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
)


class Migration(migrations.Migration):
    """Replace the check for cycles by one that is linear in the edges of the workflow."""

    dependencies = [
        ("workflows", "0002_graphs"),
    ]

    operations = [
        RunSQLFile(SQL / "edges_acyclic_linear.sql", f"{BEFORE}; DROP FUNCTION node_on_circle(uuid)"),
    ]
