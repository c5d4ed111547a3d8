-- Runs and node executions that need attention while they run: overdue, silent or late. Nothing is stored: each is a
-- question about the time, answered from what the row, its lease, its history and its log say now. Running rows are few,
-- so each function begins with them, by the index on the status; `among` names the rows that are asked about, NULL all.

-- Running past the time-out, or with an expired lease that upkeep has not ended yet. `since` is when it became overdue.
CREATE FUNCTION overdue_runs(among uuid[])
    RETURNS TABLE (run_id uuid, attempt integer, lease_expired boolean, since timestamptz, seconds numeric)
    STABLE LANGUAGE plpgsql ROWS 20 AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT run.id, run.attempt, lease.expires_at IS NOT NULL AND lease.expires_at < now(),
            CASE WHEN lease.expires_at < now() THEN lease.expires_at
                ELSE started_at + make_interval(secs => time_out::float8) END,
            CASE WHEN lease.expires_at < now() THEN lease.seconds ELSE time_out END
        FROM workflow_executions AS run
        CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(metadata -> 'timeout_seconds')
            WHEN 'number' THEN (metadata ->> 'timeout_seconds')::numeric
        END AS time_out) AS chosen
        LEFT JOIN workflow_execution_leases AS lease
            ON lease.workflow_execution_id = run.id AND lease.attempt = run.attempt AND lease.lapsed_at IS NULL
        WHERE run.status = 'running' AND (among IS NULL OR run.id = ANY (among)) AND (
            lease.expires_at < now() OR time_out > 0 AND extract(epoch FROM now() - started_at) > time_out
        );
END
$$;

-- The same of node executions. `no_time_out` are values of nodes.timeout_seconds that limit nothing.
CREATE FUNCTION overdue_nodes(among uuid[], no_time_out integer[])
    RETURNS TABLE (
        run_id uuid, node_execution_id uuid, attempt integer, lease_expired boolean, since timestamptz, seconds numeric
    )
    STABLE LANGUAGE plpgsql ROWS 20 AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT execution.workflow_execution_id, execution.id, execution.attempt,
            lease.expires_at IS NOT NULL AND lease.expires_at < now(),
            CASE WHEN lease.expires_at < now() THEN lease.expires_at
                ELSE started_at + make_interval(secs => timeout_seconds) END,
            (CASE WHEN lease.expires_at < now() THEN lease.seconds ELSE timeout_seconds END)::numeric
        FROM node_executions AS execution
        JOIN nodes ON nodes.id = execution.node_id
        LEFT JOIN node_execution_leases AS lease
            ON lease.node_execution_id = execution.id AND lease.attempt = execution.attempt AND lease.lapsed_at IS NULL
        WHERE execution.status = 'running' AND (among IS NULL OR execution.id = ANY (among)) AND (
            lease.expires_at < now()
            OR timeout_seconds <> ALL (no_time_out) AND extract(epoch FROM now() - started_at) > timeout_seconds
        );
END
$$;

-- The first id of the log, a UUIDv7, at this time. A comparison with it leaves out the partitions before.
CREATE FUNCTION first_line_id(moment timestamptz) RETURNS uuid IMMUTABLE LANGUAGE sql
    RETURN rpad(lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0'), 32, '0')::uuid;

-- Running without a sign of life for `quiet` seconds: no heartbeat, no transition of the run or of a node of it, no line.
-- `since` is the last heartbeat or transition.
CREATE FUNCTION silent_runs(among uuid[], quiet float8) RETURNS TABLE (run_id uuid, since timestamptz)
    STABLE LANGUAGE plpgsql ROWS 20 AS $$
#variable_conflict use_column
DECLARE
    lately timestamptz := now() - make_interval(secs => quiet);
    first_id uuid := first_line_id(lately);
BEGIN
    RETURN QUERY
        SELECT run.id, greatest(run.started_at, heartbeat_at, happened_at)
        FROM workflow_executions AS run
        LEFT JOIN workflow_execution_leases AS lease
            ON lease.workflow_execution_id = run.id AND lease.attempt = run.attempt
        LEFT JOIN LATERAL (
            SELECT happened_at FROM execution_history WHERE workflow_execution_id = run.id
            ORDER BY happened_at DESC, id DESC LIMIT 1
        ) AS entry ON true
        WHERE run.status = 'running' AND (among IS NULL OR run.id = ANY (among)) AND run.started_at < lately
            AND greatest(run.started_at, heartbeat_at, happened_at) < lately
            AND NOT EXISTS (
                SELECT FROM execution_logs AS line
                WHERE line.workflow_execution_id = run.id AND line."timestamp" >= lately AND line.id >= first_id
            );
END
$$;

-- The same of node executions: no heartbeat of the node or of its run, and no line of the node.
CREATE FUNCTION silent_nodes(among uuid[], quiet float8)
    RETURNS TABLE (run_id uuid, node_execution_id uuid, since timestamptz)
    STABLE LANGUAGE plpgsql ROWS 20 AS $$
#variable_conflict use_column
DECLARE
    lately timestamptz := now() - make_interval(secs => quiet);
    first_id uuid := first_line_id(lately);
BEGIN
    RETURN QUERY
        SELECT run.id, execution.id, greatest(execution.started_at, lease.heartbeat_at, lease_of_run.heartbeat_at)
        FROM node_executions AS execution
        JOIN workflow_executions AS run ON run.id = execution.workflow_execution_id
        LEFT JOIN node_execution_leases AS lease
            ON lease.node_execution_id = execution.id AND lease.attempt = execution.attempt
        LEFT JOIN workflow_execution_leases AS lease_of_run
            ON lease_of_run.workflow_execution_id = run.id AND lease_of_run.attempt = run.attempt
        WHERE execution.status = 'running' AND (among IS NULL OR execution.id = ANY (among))
            AND execution.started_at < lately
            AND greatest(execution.started_at, lease.heartbeat_at, lease_of_run.heartbeat_at) < lately
            AND NOT EXISTS (
                SELECT FROM execution_logs AS line
                WHERE line.node_execution_id = execution.id AND line."timestamp" >= lately AND line.id >= first_id
            );
END
$$;

-- Running for longer than `share` of the 95th percentile of its workflow, and for `at_least` seconds. The percentile is
-- that of the runs completed from `counted_since`, of which there are at least `enough`; `seconds` is the percentile.
CREATE FUNCTION late_runs(
    among uuid[], counted_since timestamptz, enough integer, share float8, at_least float8
) RETURNS TABLE (run_id uuid, since timestamptz, seconds numeric)
    STABLE LANGUAGE plpgsql ROWS 20 AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH running AS MATERIALIZED (
            SELECT id, workflow_id, started_at FROM workflow_executions
            WHERE status = 'running' AND (among IS NULL OR id = ANY (among))
                AND started_at < now() - make_interval(secs => at_least)
        ), usual AS MATERIALIZED (
            SELECT workflow_id, p95
            FROM usual_durations(counted_since, ARRAY(SELECT DISTINCT workflow_id FROM running))
            WHERE completed >= enough
        )
        SELECT running.id, running.started_at + make_interval(secs => share * p95), p95::numeric
        FROM running JOIN usual USING (workflow_id)
        WHERE extract(epoch FROM now() - running.started_at) > share * p95;
END
$$;
