-- The transitions of all runs between two snapshots, after a place; for a deleted run also its workflow.
SELECT * FROM (
    (
        SELECT workflow_execution_id, written_by, id, NULL::uuid FROM execution_history
        WHERE node_execution_id IS NULL
            AND written_by >= pg_snapshot_xmin(%(since)s) AND NOT pg_visible_in_snapshot(written_by, %(since)s)
            AND pg_visible_in_snapshot(written_by, %(until)s)
            AND (written_by, id) > (%(transaction)s, %(id)s)
        ORDER BY written_by, id LIMIT %(most)s
    )
    UNION ALL
    (
        SELECT workflow_execution_id, written_by, id, workflow_id FROM execution_deletions
        WHERE written_by >= pg_snapshot_xmin(%(since)s) AND NOT pg_visible_in_snapshot(written_by, %(since)s)
            AND pg_visible_in_snapshot(written_by, %(until)s)
            AND (written_by, id) > (%(transaction)s, %(id)s)
        ORDER BY written_by, id LIMIT %(most)s
    )
) AS moves
ORDER BY written_by, id LIMIT %(most)s
