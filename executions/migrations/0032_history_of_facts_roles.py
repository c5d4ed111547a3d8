from pathlib import Path

from django.db import migrations

from ledgerkit.db.operations import RunSQLFile

SQL = Path(__file__).parents[1] / "sql"
BACK = """
CREATE OR REPLACE FUNCTION history_of_workflow_execution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ledger_note() ? 'facts' THEN
        RETURN NULL;
    END IF;
    PERFORM write_history(
        NEW.id, NULL, NEW.attempt, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status
    );
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION history_of_node_execution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ledger_note() ? 'facts' THEN
        RETURN NULL;
    END IF;
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
DROP FUNCTION writes_own_history();
"""


class Migration(migrations.Migration):
    """Only a role that may write entries may change runs without the triggers' entries."""

    dependencies = [
        ("executions", "0031_numbered_lines_index"),
    ]

    operations = [RunSQLFile(SQL / "history_of_facts_roles.sql", BACK)]
