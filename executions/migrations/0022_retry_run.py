from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"


class Migration(migrations.Migration):
    """The retry of a run is written by the database."""

    dependencies = [
        ("executions", "0021_secrets_of_run"),
    ]

    operations = [
        RunSQLFile(
            SQL / "retry_run.sql",
            "DROP FUNCTION lock_for_retry(uuid, uuid[]), retry_run(uuid, uuid[], json, text), retry_nodes(uuid[], json, text)",
        ),
    ]
