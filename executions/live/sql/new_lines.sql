-- The lines of a run that the later snapshot sees and the earlier one does not, after a place. Their transactions are
-- at least the xmin of the earlier snapshot: with this bound, an index finds them.
SELECT * FROM execution_logs
WHERE workflow_execution_id = %(run)s
    AND written_by >= pg_snapshot_xmin(%(since)s) AND NOT pg_visible_in_snapshot(written_by, %(since)s)
    AND pg_visible_in_snapshot(written_by, %(until)s)
    AND (written_by, timestamp, id) > (%(transaction)s, %(moment)s, %(id)s)
ORDER BY written_by, timestamp, id LIMIT %(most)s
