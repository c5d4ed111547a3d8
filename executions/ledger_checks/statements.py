# ruff: noqa: S608 # of constants
"""The statement of each check. It returns the rows that contradict the rules: run, node, what is wrong."""

ROWS = """
    SELECT id AS run, NULL::uuid AS node, status, attempt, version, started_at, ended_at FROM workflow_executions
    UNION ALL
    SELECT workflow_execution_id, id, status, attempt, version, started_at, ended_at FROM node_executions
"""
# `before` is what the move before, of the same row, led to. A node execution has no entry of its creation; if it was
# inserted by SQL, as a run may be, its state and attempt were anything.
MOVES = """
    SELECT workflow_execution_id AS run, node_execution_id AS node, attempt, from_status, to_status, act,
        coalesce(lag(to_status) OVER moves, CASE
            WHEN node_execution_id IS NULL THEN NULL WHEN %(strict)s THEN 'pending' ELSE from_status
        END) AS before,
        coalesce(lag(attempt) OVER moves, CASE WHEN %(strict)s THEN 1 ELSE attempt END) AS attempt_before,
        lead(id) OVER moves IS NULL AS is_last
    FROM execution_history
    WINDOW moves AS (PARTITION BY workflow_execution_id, node_execution_id ORDER BY happened_at, id)
"""
ATTEMPTS = """
    SELECT workflow_execution_id AS run, NULL::uuid AS node, number, status, started_at, ended_at
    FROM workflow_execution_attempts
    UNION ALL
    SELECT workflow_execution_id, node_execution_id, number, kept.status, kept.started_at, kept.ended_at
    FROM node_execution_attempts AS kept JOIN node_executions ON node_executions.id = node_execution_id
"""

UNIQUE = """
    SELECT id AS run, NULL::uuid AS node, count(*) || ' runs have this id' AS text
    FROM workflow_executions GROUP BY id HAVING count(*) > 1
    UNION ALL
    SELECT min(workflow_execution_id::text)::uuid, id, count(*) || ' node executions have this id'
    FROM node_executions GROUP BY id HAVING count(*) > 1
    UNION ALL
    SELECT min(workflow_execution_id::text)::uuid, NULL, count(*) || ' log lines have the id ' || id
    FROM execution_logs GROUP BY id HAVING count(*) > 1
"""
ALLOWED = """
    SELECT workflow_execution_id AS run, node_execution_id AS node,
        format('%%s → %%s is no move that its state allows', from_status, to_status) AS text
    FROM execution_history
    WHERE from_status IS NOT NULL AND from_status || ' → ' || to_status <> ALL (
        CASE WHEN node_execution_id IS NULL THEN %(of_runs)s::text[] ELSE %(of_nodes)s::text[] END)
"""
FOLLOWS = f"""
    SELECT run, node, format(
        '%%s → %%s, but it was %%s', coalesce(from_status, 'nothing'), to_status, coalesce(before, 'nothing')
    ) AS text
    FROM ({MOVES}) AS moves WHERE from_status IS DISTINCT FROM before
"""
REACHED = f"""
    SELECT run, nullif(place, run) AS node, format(
        'it is %%s in attempt %%s, but its last move led to %%s in attempt %%s',
        rows.status, rows.attempt, coalesce(to_status, 'nothing'), coalesce(moves.attempt, 1)
    ) AS text
    FROM (SELECT coalesce(node, run) AS place, * FROM ({ROWS}) AS every) AS rows
    LEFT JOIN (
        SELECT coalesce(node, run) AS place, to_status, attempt FROM ({MOVES}) AS every WHERE is_last
    ) AS moves USING (place)
    WHERE (rows.status, rows.attempt) IS DISTINCT FROM (
        coalesce(to_status, CASE WHEN node IS NOT NULL THEN 'pending' END), coalesce(moves.attempt, 1)
    ) AND (to_status IS NOT NULL OR node IS NULL OR %(strict)s)
"""
VERSIONS = f"""
    SELECT run, node, format('version %%s after %%s moves', version, coalesce(number, 0)) AS text
    FROM (SELECT coalesce(node, run) AS place, * FROM ({ROWS}) AS every) AS rows
    LEFT JOIN (
        SELECT coalesce(node_execution_id, workflow_execution_id) AS place, count(from_status) AS number
        FROM execution_history GROUP BY 1
    ) AS moves USING (place)
    WHERE version < 1 + coalesce(number, 0) OR (%(strict)s AND version > 1 + coalesce(number, 0))
"""
ATTEMPTS_IN_ORDER = f"""
    SELECT run, node, format('attempt %%s follows %%s by %%s → %%s', attempt, attempt_before, from_status, to_status)
        AS text
    FROM ({MOVES}) AS moves
    WHERE attempt <> attempt_before AND NOT (attempt = attempt_before + 1 AND to_status = 'pending')
    UNION ALL
    SELECT run, node, format('attempt %%s, but the attempts %%s are kept', attempt, coalesce(numbers::text, '{{}}'))
    FROM (SELECT coalesce(node, run) AS place, * FROM ({ROWS}) AS every) AS rows
    LEFT JOIN (
        SELECT coalesce(node, run) AS place, array_agg(number ORDER BY number) AS numbers
        FROM ({ATTEMPTS}) AS every GROUP BY 1
    ) AS kept USING (place)
    WHERE coalesce(numbers, '{{}}') <> ARRAY(SELECT generate_series(1, attempt - 1))
"""
TIMES = f"""
    SELECT run, node, format('%%s, started at %%s, ended at %%s', status, started_at, ended_at) AS text
    FROM (
        SELECT run, node, status, started_at, ended_at FROM ({ROWS}) AS rows
        UNION ALL SELECT run, node, status, started_at, ended_at FROM ({ATTEMPTS}) AS attempts
    ) AS timed
    WHERE ended_at < started_at OR (status = 'running' AND started_at IS NULL)
        OR (ended_at IS NOT NULL) <> (status = ANY (%(ended)s))
"""
NODES = """
    SELECT run.id AS run, node.id AS node, format('%%s in a run that is %%s', node.status, run.status) AS text
    FROM workflow_executions AS run JOIN node_executions AS node ON node.workflow_execution_id = run.id
    WHERE (node.status = 'running' AND run.status <> 'running')
        OR (node.status = 'pending' AND run.status = ANY (%(ended)s))
    UNION ALL
    SELECT run.id, NULL, format('%%s failed nodes, but %%s are counted', coalesce(number, 0), failed_nodes)
    FROM workflow_executions AS run LEFT JOIN (
        SELECT workflow_execution_id, count(*) AS number
        FROM node_executions WHERE status = 'failed' GROUP BY 1
    ) AS failed ON workflow_execution_id = run.id
    WHERE failed_nodes <> CASE WHEN run.status = ANY (%(ended)s) THEN coalesce(number, 0) ELSE 0 END
"""
# From the rows, and from the history: a run counts from its start to its end.
ONE_RUNNING = """
    SELECT min(id::text)::uuid AS run, NULL::uuid AS node,
        format('one of %%s running runs of the workflow %%s', count(*), workflow_id) AS text
    FROM workflow_executions
    WHERE status = 'running' AND NOT metadata @> '{"allow_concurrent": true}'
    GROUP BY workflow_id HAVING count(*) > 1
    UNION ALL
    SELECT run, NULL, format('it started at %%s, while another run of its workflow was running', happened_at)
    FROM (
        SELECT run.id AS run, happened_at, to_status, sum(
            (to_status = 'running')::integer - coalesce(from_status = 'running', false)::integer
        ) OVER (PARTITION BY workflow_id ORDER BY happened_at, entry.id) AS running
        FROM execution_history AS entry JOIN workflow_executions AS run ON run.id = workflow_execution_id
        WHERE node_execution_id IS NULL AND NOT metadata @> '{"allow_concurrent": true}'
    ) AS counted
    WHERE to_status = 'running' AND running > 1
"""
ROLLUPS = """
    WITH valid AS (
        SELECT id, start, until FROM rollup_periods AS period WHERE is_closed AND NOT EXISTS (
            SELECT FROM rollup_changes WHERE hour >= period.start AND hour < period.until
        ) AND start > clock_timestamp() - interval '9 days'
    ), counted AS (
        SELECT valid.id, workflow_id, count(*) FILTER (WHERE is_completed) AS completed,
            count(*) FILTER (WHERE is_failed) AS failed, count(*) AS ended
        FROM valid JOIN ended_runs ON ended_at >= start AND ended_at < until GROUP BY 1, 2
    ), stored AS (
        SELECT period_id AS id, workflow_id, completed, failed, ended
        FROM rollup_results JOIN valid ON valid.id = period_id
    )
    SELECT NULL::uuid AS run, NULL::uuid AS node, format(
        'from %%s to %%s %%s runs of the workflow %%s are counted, and %%s ended', start, until,
        coalesce(stored.ended, 0), workflow_id, coalesce(counted.ended, 0)
    ) AS text
    FROM stored FULL JOIN counted USING (id, workflow_id) JOIN valid USING (id)
    WHERE (stored.completed, stored.failed, stored.ended)
        IS DISTINCT FROM (counted.completed, counted.failed, counted.ended)
"""
STATEMENTS = {
    "ids are unique": UNIQUE,
    "moves are allowed": ALLOWED,
    "moves follow from each other": FOLLOWS,
    "rows are where their last move led": REACHED,
    "versions count the moves": VERSIONS,
    "attempts are in order": ATTEMPTS_IN_ORDER,
    "ends are after starts": TIMES,
    "nodes fit their run": NODES,
    "one run of a workflow at a time": ONE_RUNNING,
    "rollups are the counts of their runs": ROLLUPS,
}
