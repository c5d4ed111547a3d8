-- What a role of the database that is not the application's own can do by plain SQL: move rows that it has been granted,
-- and neither say who did it nor take away what was written down. docs/security.md says what owner and superuser can.

-- The role on whose behalf a function that runs as its owner was called.
CREATE FUNCTION ledger_invoker() RETURNS name LANGUAGE sql STABLE AS $$
    SELECT CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role')::name END
$$;

-- What a verb has said of who acts and why. It counts from roles alone that may execute ledger_noted(): any other could
-- set it to whatever it likes.
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
        clock_timestamp(), -- in the order of the moves, also where one waited for another's end
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

-- The entries of a run go when the run has gone and not before: that some trigger deletes them is no reason.
CREATE OR REPLACE FUNCTION history_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT FROM workflow_executions WHERE id = OLD.workflow_execution_id) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'The history of a run cannot be changed: it goes only with the run.'
        USING ERRCODE = 'integrity_constraint_violation', TABLE = 'execution_history';
END
$$;

-- Only the owner may empty the ledger, and only all of it: runs, history and deletions by one TRUNCATE.
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

-- Whoever else is granted INSERT writes no entries all the same: no policy lets them. The owner, as whom the functions
-- above run, needs none.
ALTER TABLE execution_history ENABLE ROW LEVEL SECURITY;
CREATE POLICY history_read ON execution_history FOR SELECT USING (true);
CREATE POLICY history_changed ON execution_history FOR UPDATE USING (true); -- and refused by its trigger
CREATE POLICY history_deleted ON execution_history FOR DELETE USING (true); -- so this one
ALTER TABLE execution_deletions ENABLE ROW LEVEL SECURITY;
CREATE POLICY deletions_read ON execution_deletions FOR SELECT USING (true);
CREATE POLICY deletions_changed ON execution_deletions FOR UPDATE USING (true);
CREATE POLICY deletions_deleted ON execution_deletions FOR DELETE USING (true);

-- The functions behind the triggers run as their owner, and look up names in the ledger's own schema before any temporary
-- one. Nobody else may call them: with EXECUTE anybody could hang them on a table of their own and write by it.
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
