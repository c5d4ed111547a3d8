-- A run stores the name that its workflow had when the run was created, whatever client inserts it, so that renaming
-- the workflow later does not change old runs. A value in the statement is ignored.
CREATE FUNCTION workflow_execution_named() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.workflow_id = OLD.workflow_id THEN
        NEW.workflow_name := OLD.workflow_name;
    ELSE
        NEW.workflow_name := coalesce((SELECT name FROM workflows WHERE id = NEW.workflow_id), '');
    END IF;
    RETURN NEW;
END
$$;

-- Updates keep the name (0020_workflow_names.py) once those of existing rows are set.
CREATE TRIGGER workflow_execution_named BEFORE INSERT ON workflow_executions
    FOR EACH ROW EXECUTE FUNCTION workflow_execution_named();

CREATE OR REPLACE FUNCTION write_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said jsonb := ledger_note();
    note jsonb := CASE WHEN said ->> 'act' = 'delete' THEN said ELSE '{"through": "sql"}' END;
BEGIN
    INSERT INTO execution_deletions (
        workflow_execution_id, workflow_id, workflow_name, trigger_type, status, attempt, made_at, started_at, ended_at,
        happened_at, through, user_id, username, token_id, token_name, reason, request_id
    ) VALUES (
        OLD.id, OLD.workflow_id, OLD.workflow_name,
        OLD.trigger_type, OLD.status, OLD.attempt, OLD.created_at, OLD.started_at, OLD.ended_at,
        clock_timestamp(), note ->> 'through', coalesce(note ->> 'user_id', ''), coalesce(note ->> 'username', ''),
        (note ->> 'token_id')::uuid, coalesce(note ->> 'token_name', ''), coalesce(note ->> 'reason', ''),
        coalesce(note ->> 'request_id', '')
    );
    RETURN NULL;
END
$$;

-- A role that may write runs may lack the right to read workflows. CREATE OR REPLACE resets these settings.
DO $do$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['workflow_execution_named', 'write_deletion'] LOOP
        EXECUTE format(
            'ALTER FUNCTION %I() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', guarded, current_schema()
        );
        EXECUTE format('REVOKE ALL ON FUNCTION %I() FROM PUBLIC', guarded);
    END LOOP;
END
$do$;
