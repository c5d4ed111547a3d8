-- The nodes of a run that were created or changed between two snapshots; NULL is the run itself.
SELECT node_execution_id FROM execution_history
WHERE workflow_execution_id = %(run)s
    AND written_by >= pg_snapshot_xmin(%(since)s) AND NOT pg_visible_in_snapshot(written_by, %(since)s)
    AND pg_visible_in_snapshot(written_by, %(until)s)
UNION
SELECT id FROM node_executions
WHERE workflow_execution_id = %(run)s
    AND written_by >= pg_snapshot_xmin(%(since)s) AND NOT pg_visible_in_snapshot(written_by, %(since)s)
    AND pg_visible_in_snapshot(written_by, %(until)s)
