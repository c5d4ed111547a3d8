from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
CREATE OR REPLACE FUNCTION deletions_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The record of a deleted run cannot be changed.'
        USING ERRCODE = 'integrity_constraint_violation', TABLE = 'execution_deletions';
END
$$;
DO $do$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION deletions_append_only() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp',
        current_schema()
    );
END
$do$;
"""


class Migration(migrations.Migration):
    """Records of the runs that upkeep deleted may be deleted."""

    dependencies = [
        ("executions", "0040_rollups"),
    ]

    operations = [RunSQLFile(SQL / "deletion_records.sql", BACK)]
