-- The moves of all runs between two snapshots, from a place on.
SELECT workflow_execution_id, written_by, id FROM execution_history
WHERE node_execution_id IS NULL
    AND written_by >= pg_snapshot_xmin(%(since)s) AND NOT pg_visible_in_snapshot(written_by, %(since)s)
    AND pg_visible_in_snapshot(written_by, %(until)s)
    AND (written_by, id) > (%(transaction)s, %(id)s)
ORDER BY written_by, id LIMIT %(most)s
