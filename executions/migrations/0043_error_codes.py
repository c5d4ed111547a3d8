import re
from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
WITHOUT = """
DROP FUNCTION IF EXISTS
    move_run(uuid, integer, text[], text, jsonb, text, boolean, text, text, text, text, timestamptz),
    move_node(uuid, uuid, integer, text[], text, jsonb, text, text, boolean, text, text, timestamptz)
"""
ASSIGNED = re.compile(r"error_code = (?:CASE .*? END|''|new\.error_code),\s*")
QUEUED = re.compile(r"\n\s+AND \(target <> 'running' OR NOT is_queued .*|, is_queued")  # since 0048
LISTED = re.compile(r",\s*error_code(?=[\s)])")


def replace(name: str) -> RunSQLFile:
    """Return the operation that replaces the functions of a file. It is reverted by the same ones without the column,
    which also take the calls of the older version."""
    text = (SQL / name).read_text()
    return RunSQLFile(SQL / name, QUEUED.sub("", LISTED.sub("", ASSIGNED.sub("", text))))


class Migration(migrations.Migration):
    """Transitions, retries and facts store the error code."""

    dependencies = [
        ("executions", "0042_leases"),
    ]

    operations = [
        migrations.RunSQL(WITHOUT, migrations.RunSQL.noop),
        replace("transitions.sql"),
        replace("retry_run.sql"),
        replace("record_facts.sql"),
    ]
