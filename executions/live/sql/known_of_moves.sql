-- The snapshot of this very statement, and the newest transaction that moved or deleted a run, of those that it sees.
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
