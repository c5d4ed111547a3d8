-- Update runs to their state after a batch of facts (executions/facts/row_storage.py). They are locked since they were read.
UPDATE workflow_executions AS run SET
    status = new.status,
    attempt = new.attempt,
    started_at = new.started_at,
    ended_at = new.ended_at,
    created_at = new.created_at,
    output_data = CASE WHEN new.sets_output THEN new.output_data ELSE run.output_data END,
    error_message = CASE WHEN new.sets_error THEN new.error_message ELSE run.error_message END,
    failed_nodes = new.failed_nodes,
    encrypted_secrets = CASE WHEN new.sets_secrets THEN new.encrypted_secrets ELSE run.encrypted_secrets END,
    version = run.version + new.moves,
    updated_at = statement_timestamp()
FROM json_to_recordset(:rows) AS new (
    id uuid, status text, attempt integer, moves integer, started_at timestamptz, ended_at timestamptz, created_at timestamptz,
    sets_output boolean, output_data jsonb, sets_error boolean, error_message text, failed_nodes integer,
    sets_secrets boolean, encrypted_secrets text
)
WHERE run.id = new.id
