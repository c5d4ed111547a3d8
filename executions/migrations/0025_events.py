from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
DROP FUNCTION write_history_of_facts(json);
CREATE OR REPLACE FUNCTION history_of_workflow_execution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_history(
        NEW.id, NULL, NEW.attempt, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status
    );
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION history_of_node_execution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_history(NEW.workflow_execution_id, NEW.id, NEW.attempt, OLD.status, NEW.status);
    RETURN NULL;
END
$$;
DO $do$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['history_of_workflow_execution', 'history_of_node_execution'] LOOP
        EXECUTE format(
            'ALTER FUNCTION %I() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', guarded, current_schema()
        );
    END LOOP;
END
$do$;
"""


class Migration(migrations.Migration):
    """A batch of facts writes its own history."""

    dependencies = [
        ("executions", "0024_permissions"),
    ]

    operations = [RunSQLFile(SQL / "history_of_facts.sql", BACK)]
