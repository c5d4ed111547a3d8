-- A deleted run leaves one row, written by the statement that deletes it, whatever client sent it. The history is
-- deleted with the run; the record of the deletion, its actor and its reason remain.
--
-- The verb passes actor and reason as every transition does (history.sql).
-- What an earlier move of the same transaction said is not about the deletion.
CREATE FUNCTION write_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said jsonb := nullif(current_setting('ledger.note', true), '');
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
CREATE TRIGGER write_deletion AFTER DELETE ON workflow_executions
    FOR EACH ROW EXECUTE FUNCTION write_deletion();

CREATE FUNCTION deletions_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'That a run was deleted stays written down: it cannot be changed.'
        USING ERRCODE = 'integrity_constraint_violation', TABLE = 'execution_deletions';
END
$$;
CREATE TRIGGER deletions_append_only BEFORE UPDATE OR DELETE ON execution_deletions
    FOR EACH ROW EXECUTE FUNCTION deletions_append_only();
