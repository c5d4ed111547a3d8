-- Attempts of runs that ended with a failure between two snapshots, after a place. An entry that is much older than the
-- last scan was restored from the archive: it was counted when it happened.
SELECT written_by::text, id, attempt, workflow_execution_id
FROM execution_history
WHERE node_execution_id IS NULL
    AND written_by >= pg_snapshot_xmin(%(since)s) AND NOT pg_visible_in_snapshot(written_by, %(since)s)
    AND pg_visible_in_snapshot(written_by, %(until)s)
    AND (written_by, id) > (%(transaction)s, %(id)s)
    AND happened_at >= %(not_before)s AND (
        to_status = 'failed' OR to_status IN ('completed', 'cancelled') AND EXISTS (
            SELECT FROM workflow_executions AS run WHERE run.id = workflow_execution_id AND run.failed_nodes > 0
        )
    )
ORDER BY written_by, id LIMIT %(most)s
