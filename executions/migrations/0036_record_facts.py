from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
DROP FUNCTION record_facts(text, json, json, json, json, json, json, json, json, json);
DROP FUNCTION change_runs_of_facts(json);
"""


class Migration(migrations.Migration):
    """A batch of facts is stored in one call of the database."""

    dependencies = [
        ("executions", "0035_restored_names"),
    ]

    operations = [RunSQLFile(SQL / "record_facts.sql", BACK)]
