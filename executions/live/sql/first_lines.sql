-- All that a snapshot sees of a run's lines, from a place on; what was there before written_by counts as seen.
SELECT * FROM execution_logs
WHERE workflow_execution_id = %(run)s
    AND (written_by IS NULL OR pg_visible_in_snapshot(written_by, %(until)s))
    AND (timestamp, id) > (%(moment)s, %(id)s)
ORDER BY timestamp, id LIMIT %(most)s
