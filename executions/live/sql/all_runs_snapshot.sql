-- The current snapshot, and the newest transaction visible in it that changed or deleted a run.
SELECT pg_current_snapshot()::text, (
    SELECT written_by::text AS newest FROM (
        (
            SELECT written_by FROM execution_history
            WHERE node_execution_id IS NULL AND written_by < pg_snapshot_xmax(pg_current_snapshot())
            ORDER BY written_by DESC LIMIT 1
        )
        UNION ALL
        (
            SELECT written_by FROM execution_deletions
            WHERE written_by < pg_snapshot_xmax(pg_current_snapshot())
            ORDER BY written_by DESC LIMIT 1
        )
    ) AS seen
    ORDER BY written_by DESC LIMIT 1
)
