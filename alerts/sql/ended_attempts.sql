-- Attempts of runs that completed or failed between two snapshots, after a place; with the times and the error of that
-- attempt, whether the run has been retried since or not.
SELECT
    entry.written_by::text, entry.id, entry.happened_at, entry.to_status, entry.attempt, run.id AS run,
    run.workflow_id, run.workflow_name,
    coalesce(earlier.started_at, CASE WHEN run.attempt = entry.attempt THEN run.started_at END) AS started_at,
    coalesce(earlier.ended_at, CASE WHEN run.attempt = entry.attempt THEN run.ended_at END) AS ended_at,
    left(coalesce(earlier.error_message, CASE WHEN run.attempt = entry.attempt THEN run.error_message END), 1000)
        AS error_message
FROM (
    SELECT * FROM execution_history
    WHERE node_execution_id IS NULL
        AND written_by >= pg_snapshot_xmin(%(since)s) AND NOT pg_visible_in_snapshot(written_by, %(since)s)
        AND pg_visible_in_snapshot(written_by, %(until)s)
        AND (written_by, id) > (%(transaction)s, %(id)s)
        AND to_status IN ('completed', 'failed')
    ORDER BY written_by, id LIMIT %(most)s
) AS entry
JOIN workflow_executions AS run ON run.id = entry.workflow_execution_id
LEFT JOIN workflow_execution_attempts AS earlier
    ON earlier.workflow_execution_id = run.id AND earlier.number = entry.attempt
ORDER BY entry.written_by, entry.id
