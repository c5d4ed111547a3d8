-- Whether the run itself changed after a snapshot, and the seconds since a time, by the clock that set it. An id that
-- this database has not assigned yet was restored from a dump.
SELECT EXISTS (
    SELECT FROM execution_history
    WHERE workflow_execution_id = %(run)s AND node_execution_id IS NULL
        AND written_by >= pg_snapshot_xmin(%(until)s) AND NOT pg_visible_in_snapshot(written_by, %(until)s)
        AND written_by < pg_snapshot_xmax(pg_current_snapshot())
), extract(epoch FROM clock_timestamp() - %(ended)s)
