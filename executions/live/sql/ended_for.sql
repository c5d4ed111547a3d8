-- Whether the run itself was moved after a snapshot, and how many seconds ago a moment was by the clock that set it. A
-- number that no transaction has had yet came with a dump.
SELECT EXISTS (
    SELECT FROM execution_history
    WHERE workflow_execution_id = %(run)s AND node_execution_id IS NULL
        AND written_by >= pg_snapshot_xmin(%(until)s) AND NOT pg_visible_in_snapshot(written_by, %(until)s)
        AND written_by < pg_snapshot_xmax(pg_current_snapshot())
), extract(epoch FROM clock_timestamp() - %(ended_at)s)
