-- The lines of a run visible in a snapshot, after a place. Rows without written_by count as visible, and so do rows
-- restored from a database with higher transaction ids, which this database has not assigned yet.
SELECT * FROM execution_logs
WHERE workflow_execution_id = %(run)s
    AND (
        written_by IS NULL
        OR pg_visible_in_snapshot(written_by, %(until)s)
        OR written_by >= pg_snapshot_xmax(pg_current_snapshot())
    )
    AND (timestamp, id) > (%(moment)s, %(id)s)
ORDER BY timestamp, id LIMIT %(most)s
