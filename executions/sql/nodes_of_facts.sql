-- Update node executions to their state after a batch of facts (executions/facts/row_storage.py).
UPDATE node_executions AS node SET
    status = new.status,
    attempt = new.attempt,
    started_at = new.started_at,
    ended_at = new.ended_at,
    created_at = new.created_at,
    output_data = CASE WHEN new.sets_output THEN new.output_data ELSE node.output_data END,
    error_message = CASE WHEN new.sets_error THEN new.error_message ELSE node.error_message END,
    error_traceback = CASE WHEN new.sets_traceback THEN new.error_traceback ELSE node.error_traceback END,
    retry_count = new.retry_count,
    settled = new.settled,
    version = node.version + new.moves,
    updated_at = statement_timestamp()
FROM json_to_recordset(:rows) AS new (
    id uuid, status text, attempt integer, moves integer, started_at timestamptz, ended_at timestamptz, created_at timestamptz,
    sets_output boolean, output_data jsonb, sets_error boolean, error_message text, sets_traceback boolean,
    error_traceback text, retry_count integer, settled boolean
)
WHERE node.id = new.id
