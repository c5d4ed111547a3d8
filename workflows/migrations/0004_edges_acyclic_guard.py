from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
ALTER FUNCTION edges_acyclic() SECURITY INVOKER RESET search_path;
GRANT EXECUTE ON FUNCTION edges_acyclic(), node_on_circle(uuid) TO PUBLIC;
"""


class Migration(migrations.Migration):
    """Look up the edges before temporary tables in the check for cycles."""

    dependencies = [
        ("workflows", "0003_acyclic_in_linear_time"),
    ]

    operations = [RunSQLFile(SQL / "edges_acyclic_guard.sql", BACK)]
