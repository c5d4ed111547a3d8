-- A note with `"facts": true` lets a batch of facts write its own history. It is honoured only of roles that may execute
-- write_history_of_facts(): any other role that may pass a note could change runs without an entry.
CREATE FUNCTION writes_own_history() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce(ledger_note() ? 'facts', false)
        AND has_function_privilege(ledger_invoker(), 'write_history_of_facts(json)', 'EXECUTE');
END
$$;

CREATE OR REPLACE FUNCTION history_of_workflow_execution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF writes_own_history() THEN
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
    IF writes_own_history() THEN
        RETURN NULL;
    END IF;
    PERFORM write_history(NEW.workflow_execution_id, NEW.id, NEW.attempt, OLD.status, NEW.status);
    RETURN NULL;
END
$$;

-- CREATE OR REPLACE resets these settings.
DO $do$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY[
        'history_of_workflow_execution()', 'history_of_node_execution()', 'writes_own_history()'
    ] LOOP
        EXECUTE format(
            'ALTER FUNCTION %s SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', guarded, current_schema()
        );
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', guarded);
    END LOOP;
END
$do$;
