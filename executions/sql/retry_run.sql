-- The retry of a failed run (executions/retry.py): two functions, called in one transaction. In between, Python decides
-- which nodes are retried and masks the texts of the attempts, because the run may have learnt secrets since.

-- Lock the run, then its nodes in the order of their ids, and return them, the run first: the nodes that failed, were
-- skipped or were cancelled, and those that are not in the run's graph.
CREATE OR REPLACE FUNCTION lock_for_retry(run uuid, remembered uuid[]) RETURNS TABLE (
    id uuid,
    node_id uuid, -- NULL in the row of the run, like all columns of nodes
    node_name text,
    status text,
    attempt integer,
    version integer,
    has_started boolean,
    settled boolean,
    retry_count integer,
    retry_config text,
    output_data text,
    error_message text,
    error_traceback text,
    encrypted_secrets text,
    ended_at timestamptz
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT id, NULL::uuid, NULL, status::text, attempt, version, started_at IS NOT NULL, NULL::boolean, NULL::integer,
            NULL, output_data::text, error_message, NULL, encrypted_secrets, ended_at
        FROM workflow_executions WHERE id = run
        FOR NO KEY UPDATE;
    RETURN QUERY
        SELECT execution.id, execution.node_id, node_name::text, status::text, attempt, execution.version,
            started_at IS NOT NULL, settled, retry_count, nodes.retry_config::text,
            output_data::text, error_message, error_traceback, NULL, NULL::timestamptz
        FROM node_executions AS execution JOIN nodes ON nodes.id = execution.node_id
        WHERE workflow_execution_id = run
            AND (status IN ('failed', 'skipped', 'cancelled') OR execution.node_id <> ALL (remembered))
        ORDER BY execution.id
        FOR NO KEY UPDATE OF execution;
END
$$;

-- Keep the attempts of these nodes and make the nodes pending again; a failed node counts a retry. `kept` maps the ids
-- of the rows to the masked texts of their attempts; `note` is the audit note.
CREATE OR REPLACE FUNCTION retry_nodes(retried uuid[], kept json, note text)
RETURNS TABLE (attempt integer, retry_count integer, version integer, updated_at timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM ledger_noted(now(), note);

    INSERT INTO node_execution_attempts
        (node_execution_id, number, status, started_at, ended_at, output_data, error_message, error_traceback,
        error_code)
    SELECT id, attempt, status, started_at, ended_at, masked.output_data, masked.error_message, masked.error_traceback,
        error_code
    FROM node_executions
    JOIN json_to_recordset(kept) AS masked (id uuid, output_data jsonb, error_message text, error_traceback text)
        USING (id)
    WHERE id = ANY (retried);

    RETURN QUERY
        UPDATE node_executions SET
            status = 'pending',
            retry_count = retry_count + (status = 'failed')::integer,
            attempt = attempt + (status = 'failed' OR started_at IS NOT NULL)::integer,
            started_at = NULL, ended_at = NULL, output_data = NULL, error_message = NULL, error_traceback = NULL,
            error_code = '', settled = false, version = version + 1, updated_at = statement_timestamp()
        WHERE id = ANY (retried) AND status IN ('failed', 'skipped', 'cancelled')
        RETURNING attempt, retry_count, version, updated_at;
END
$$;

-- The same for a run and those of its nodes that are retried with it.
CREATE OR REPLACE FUNCTION retry_run(run uuid, retried uuid[], kept json, note text)
RETURNS TABLE (attempt integer, version integer, updated_at timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM workflow_executions WHERE id = run AND status = 'failed') THEN
        RAISE EXCEPTION 'Only a failed run can be retried.'
            USING ERRCODE = 'integrity_constraint_violation', TABLE = 'workflow_executions';
    END IF;
    PERFORM retry_nodes(retried, kept, note);

    INSERT INTO workflow_execution_attempts
        (workflow_execution_id, number, status, started_at, ended_at, output_data, error_message, error_code)
    SELECT id, attempt, status, started_at, ended_at, masked.output_data, masked.error_message, error_code
    FROM workflow_executions
    JOIN json_to_recordset(kept) AS masked (id uuid, output_data jsonb, error_message text) USING (id)
    WHERE id = run;

    RETURN QUERY
        UPDATE workflow_executions SET
            status = 'pending', attempt = attempt + 1,
            started_at = NULL, ended_at = NULL, output_data = NULL, error_message = NULL,
            error_code = '', failed_nodes = 0, version = version + 1, updated_at = statement_timestamp()
        WHERE id = run
        RETURNING attempt, version, updated_at;
END
$$;
