from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
CREATE OR REPLACE FUNCTION workflow_execution_named() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.workflow_id = OLD.workflow_id THEN
        NEW.workflow_name := OLD.workflow_name;
    ELSE
        NEW.workflow_name := coalesce((SELECT name FROM workflows WHERE id = NEW.workflow_id), '');
    END IF;
    RETURN NEW;
END
$$;
CREATE OR REPLACE FUNCTION node_execution_named() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.node_id = OLD.node_id THEN
        NEW.node_name := OLD.node_name;
    ELSE
        NEW.node_name := coalesce(name_of_node(NEW.workflow_execution_id, NEW.node_id), '');
    END IF;
    RETURN NEW;
END
$$;
DO $do$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['workflow_execution_named', 'node_execution_named'] LOOP
        EXECUTE format(
            'ALTER FUNCTION %I() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', guarded, current_schema()
        );
    END LOOP;
END
$do$;
DROP FUNCTION restores_runs();
"""


class Migration(migrations.Migration):
    """Restored runs keep the names that they had."""

    dependencies = [
        ("executions", "0034_archive"),
    ]

    operations = [RunSQLFile(SQL / "restored_names.sql", BACK)]
