-- The current snapshot, and the newest transaction visible in it that wrote rows of the run.
SELECT pg_current_snapshot()::text, (
    SELECT written_by::text AS newest FROM (
        (
            SELECT written_by FROM execution_logs
            WHERE workflow_execution_id = %(run)s AND written_by < pg_snapshot_xmax(pg_current_snapshot())
            ORDER BY written_by DESC LIMIT 1
        )
        UNION ALL
        SELECT written_by FROM execution_history
        WHERE workflow_execution_id = %(run)s AND written_by < pg_snapshot_xmax(pg_current_snapshot())
        UNION ALL
        SELECT written_by FROM node_executions
        WHERE workflow_execution_id = %(run)s AND written_by < pg_snapshot_xmax(pg_current_snapshot())
    ) AS seen
    ORDER BY written_by DESC LIMIT 1
)
