-- All that a snapshot sees of a run's lines, from a place on; what was there before written_by counts as seen, and so does
-- what a dump brought from a database that was further on: no transaction of this one, seen by now, has such a number.
SELECT * FROM execution_logs
WHERE workflow_execution_id = %(run)s
    AND (
        written_by IS NULL
        OR pg_visible_in_snapshot(written_by, %(until)s)
        OR written_by >= pg_snapshot_xmax(pg_current_snapshot())
    )
    AND (timestamp, id) > (%(moment)s, %(id)s)
ORDER BY timestamp, id LIMIT %(most)s
