from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"


class Migration(migrations.Migration):
    """A token's use is noted by the statement that finds the token."""

    dependencies = [
        ("tokens", "0002_use_binding_and_idempotency"),
    ]

    operations = [
        RunSQLFile(SQL / "token_used.sql", "DROP FUNCTION token_used(uuid, timestamptz)"),
    ]
