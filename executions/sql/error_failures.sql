-- Failures of attempts of runs: of each its failed nodes, the first 20 in the order of their failure; a row without a
-- node where none failed. Of each text only what a fingerprint is made of. The runs are locked against deletion.
SELECT
    run.id, wanted.attempt, run.workflow_id, coalesce(earlier.ended_at, run.ended_at, run.updated_at),
    coalesce(earlier.status, run.status) = 'failed',
    node.id, coalesce(node.node_name, ''),
    left(CASE WHEN node.id IS NOT NULL THEN node.error_message
        WHEN earlier.id IS NOT NULL THEN earlier.error_message ELSE run.error_message END, 20000),
    CASE WHEN length(node.error_traceback) <= 40000 THEN node.error_traceback
        ELSE left(node.error_traceback, 10000) || E'\n' || right(node.error_traceback, 30000) END
FROM unnest(%(runs)s::uuid[], %(attempts)s::integer[]) AS wanted (run, attempt)
JOIN workflow_executions AS run ON run.id = wanted.run
LEFT JOIN workflow_execution_attempts AS earlier
    ON earlier.workflow_execution_id = run.id AND earlier.number = wanted.attempt
LEFT JOIN LATERAL (
    (
        SELECT id, node_name, error_message, error_traceback, ended_at, execution_order
        FROM node_executions
        WHERE workflow_execution_id = run.id AND status = 'failed' AND earlier.id IS NULL
        ORDER BY ended_at, execution_order, id LIMIT 20
    )
    UNION ALL
    (
        SELECT node.id, node.node_name, kept.error_message, kept.error_traceback, kept.ended_at, node.execution_order
        FROM node_executions AS node JOIN node_execution_attempts AS kept ON kept.node_execution_id = node.id
        WHERE node.workflow_execution_id = earlier.workflow_execution_id AND kept.status = 'failed'
            AND kept.ended_at >= coalesce(earlier.started_at, '-infinity') AND kept.ended_at <= earlier.ended_at
        ORDER BY kept.ended_at, node.execution_order, node.id LIMIT 20
    )
) AS node ON true
WHERE earlier.id IS NOT NULL OR run.attempt = wanted.attempt
ORDER BY run.id, wanted.attempt, node.ended_at, node.execution_order, node.id
FOR KEY SHARE OF run
