from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
ALTER FUNCTION token_used(uuid, timestamptz) RESET search_path;
GRANT EXECUTE ON FUNCTION token_used(uuid, timestamptz) TO PUBLIC;
"""


class Migration(migrations.Migration):
    """Look up the table of tokens before temporary tables."""

    dependencies = [
        ("tokens", "0004_words_of_keys"),
    ]

    operations = [RunSQLFile(SQL / "token_used_guard.sql", BACK)]
