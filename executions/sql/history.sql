-- The history of a run: one row for each move of it and of its nodes, whatever door the move came in by. It is written
-- by the statement that moves the row, so that neither is ever there without the other.
--
-- A verb sends who acts, and why, before its statement and with it: `SELECT ledger_noted(now(), '{"act": ...}')`. What
-- moves a row without it is written down as plain SQL.
CREATE FUNCTION ledger_noted(moment timestamptz, note text) RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM set_config('ledger.note', note, true);
    RETURN moment;
END
$$;

CREATE FUNCTION write_history(run uuid, node uuid, attempt integer, from_status text, to_status text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    note jsonb := coalesce(nullif(current_setting('ledger.note', true), ''), '{"through": "sql"}');
BEGIN
    INSERT INTO execution_history (
        workflow_execution_id, node_execution_id, attempt, from_status, to_status,
        happened_at, act, through, user_id, username, token_id, token_name, reason, request_id
    ) VALUES (
        run, node, attempt, from_status, to_status,
        clock_timestamp(), -- in the order of the moves, also where one waited for another's end
        coalesce(note ->> 'act', ''), note ->> 'through', coalesce(note ->> 'user_id', ''),
        coalesce(note ->> 'username', ''), (note ->> 'token_id')::uuid, coalesce(note ->> 'token_name', ''),
        coalesce(note ->> 'reason', ''), coalesce(note ->> 'request_id', '')
    );
END
$$;

CREATE FUNCTION history_of_workflow_execution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_history(
        NEW.id, NULL, NEW.attempt, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER history_insert AFTER INSERT ON workflow_executions
    FOR EACH ROW EXECUTE FUNCTION history_of_workflow_execution();
CREATE TRIGGER history_update AFTER UPDATE OF status ON workflow_executions
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION history_of_workflow_execution();

CREATE FUNCTION history_of_node_execution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_history(NEW.workflow_execution_id, NEW.id, NEW.attempt, OLD.status, NEW.status);
    RETURN NULL;
END
$$;
CREATE TRIGGER history_update AFTER UPDATE OF status ON node_executions
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION history_of_node_execution();

-- What happened has happened. Only the run's own end takes it along: then the deletion comes from a trigger, that of
-- the foreign key.
CREATE FUNCTION history_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND pg_trigger_depth() > 1 THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'The history of a run cannot be changed: it goes only with the run.'
        USING ERRCODE = 'integrity_constraint_violation', TABLE = 'execution_history';
END
$$;
CREATE TRIGGER history_append_only BEFORE UPDATE OR DELETE ON execution_history
    FOR EACH ROW EXECUTE FUNCTION history_append_only();
