-- Limits of a database role other than the application's own: with plain SQL it may change rows of the tables that it
-- was granted, but it can neither set the actor nor remove history. docs/security.md describes what owner and superuser
-- can do.

-- The role that called a function which runs as its owner.
CREATE FUNCTION ledger_invoker() RETURNS name LANGUAGE sql STABLE AS $$
    SELECT CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role')::name END
$$;

-- The actor and the reason that a verb has passed. Accepted only from roles that may execute ledger_noted(); any other
-- role could set the variable to anything.
CREATE FUNCTION ledger_note() RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF has_function_privilege(ledger_invoker(), 'ledger_noted(timestamptz, text)', 'EXECUTE') THEN
        RETURN nullif(current_setting('ledger.note', true), '')::jsonb;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION write_history(
    run uuid, node uuid, attempt integer, from_status text, to_status text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    note jsonb := coalesce(ledger_note(), '{"through": "sql"}');
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

CREATE OR REPLACE FUNCTION write_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said jsonb := ledger_note();
    note jsonb := CASE WHEN said ->> 'act' = 'delete' THEN said ELSE '{"through": "sql"}' END;
BEGIN
    INSERT INTO execution_deletions (
        workflow_execution_id, workflow_id, workflow_name, trigger_type, status, attempt, made_at, started_at, ended_at,
        happened_at, through, user_id, username, token_id, token_name, reason, request_id
    ) VALUES (
        OLD.id, OLD.workflow_id, coalesce((SELECT name FROM workflows WHERE id = OLD.workflow_id), ''),
        OLD.trigger_type, OLD.status, OLD.attempt, OLD.created_at, OLD.started_at, OLD.ended_at,
        clock_timestamp(), note ->> 'through', coalesce(note ->> 'user_id', ''), coalesce(note ->> 'username', ''),
        (note ->> 'token_id')::uuid, coalesce(note ->> 'token_name', ''), coalesce(note ->> 'reason', ''),
        coalesce(note ->> 'request_id', '')
    );
    RETURN NULL;
END
$$;

-- History entries can be deleted only after their run is deleted. That a trigger deletes them is not sufficient.
CREATE OR REPLACE FUNCTION history_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT FROM workflow_executions WHERE id = OLD.workflow_execution_id) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'The history of a run cannot be changed: it goes only with the run.'
        USING ERRCODE = 'integrity_constraint_violation', TABLE = 'execution_history';
END
$$;

-- Only the owner may truncate, and only runs, history and deletions together.
CREATE FUNCTION ledger_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_has_role(ledger_invoker(), current_user, 'MEMBER')
        OR EXISTS (SELECT FROM workflow_executions)
        OR EXISTS (SELECT FROM execution_history)
        OR EXISTS (SELECT FROM execution_deletions)
    THEN
        RAISE EXCEPTION 'Runs, their history and their deletions are not truncated: delete runs, one by one or together.'
            USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER ledger_emptied AFTER TRUNCATE ON workflow_executions
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_emptied();
CREATE TRIGGER ledger_emptied AFTER TRUNCATE ON execution_history
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_emptied();
CREATE TRIGGER ledger_emptied AFTER TRUNCATE ON execution_deletions
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_emptied();

-- A role with INSERT still cannot write entries, because no policy allows it. The owner, as whom the functions above
-- run, is exempt.
ALTER TABLE execution_history ENABLE ROW LEVEL SECURITY;
CREATE POLICY history_read ON execution_history FOR SELECT USING (true);
CREATE POLICY history_changed ON execution_history FOR UPDATE USING (true); -- and refused by its trigger
CREATE POLICY history_deleted ON execution_history FOR DELETE USING (true); -- so this one
ALTER TABLE execution_deletions ENABLE ROW LEVEL SECURITY;
CREATE POLICY deletions_read ON execution_deletions FOR SELECT USING (true);
CREATE POLICY deletions_changed ON execution_deletions FOR UPDATE USING (true);
CREATE POLICY deletions_deleted ON execution_deletions FOR DELETE USING (true);

-- The functions behind triggers run as their owner and look up names in the ledger's schema before temporary ones.
-- Other roles have no EXECUTE: with it they could use the functions as triggers of their own tables, and write entries.
DO $do$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY[
        'edges_acyclic', 'graph_changed', 'node_retired', 'edge_in_graph', 'remember_graph', 'execution_logs_immutable',
        'history_of_workflow_execution', 'history_of_node_execution', 'history_append_only', 'ledger_emptied',
        'write_deletion', 'deletions_append_only', 'tell_of_rows', 'tell_of_move', 'tell_of_deletion',
        'failed_nodes_of_run', 'failed_nodes_of_node'
    ] LOOP
        EXECUTE format(
            'ALTER FUNCTION %I() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', guarded, current_schema()
        );
        EXECUTE format('REVOKE ALL ON FUNCTION %I() FROM PUBLIC', guarded);
    END LOOP;
END
$do$;
REVOKE ALL ON FUNCTION
    ledger_noted(timestamptz, text), ledger_note(), write_history(uuid, uuid, integer, text, text), graph_of(uuid),
    count_failed_nodes(uuid)
FROM PUBLIC;
