-- The history of a run: one entry for each transition of the run and of its nodes, whatever client made it. A trigger
-- writes it in the statement of the transition, so that neither exists without the other.
--
-- A verb passes actor and reason before its statement, in the same round trip: `SELECT ledger_noted(now(), '{"act":
-- ...}')`. A transition without it is recorded as plain SQL.
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
        clock_timestamp(), -- in the order of the transitions, even if one waited for another
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

-- Entries are immutable. They are deleted only with their run: then the trigger depth shows that the foreign key
-- deletes them.
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
