-- A new node execution in one call (executions/models/node_execution.py). The run is locked, so that it does not end
-- meanwhile; nothing is inserted or returned if it has ended. Python has masked the input by the secrets that it read
-- (`masked_by`, the encrypted text): where the run has others by now, nothing is inserted either.
CREATE FUNCTION add_node(
    node_execution uuid, run uuid, node uuid, place integer, input jsonb, has_texts boolean, masked_by text,
    moment timestamptz -- the engine's own time of the creation, NULL for the server's
) RETURNS TABLE (node_name text, created_at timestamptz, updated_at timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM workflow_executions
    WHERE id = run AND status IN ('pending', 'running')
        AND (NOT has_texts OR encrypted_secrets IS NOT DISTINCT FROM masked_by)
    FOR NO KEY UPDATE;
    IF FOUND THEN
        RETURN QUERY
            INSERT INTO node_executions (id, workflow_execution_id, node_id, execution_order, input_data, created_at)
            VALUES (node_execution, run, node, place, input, coalesce(moment, statement_timestamp()))
            RETURNING node_name::text, created_at, updated_at;
    END IF;
END
$$;
