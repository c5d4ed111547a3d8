-- unstarted_runs() is current. turn_since() is the first version: turn_since.sql replaced it, then turns.sql did.
-- Queued runs whose turn it is and that nobody starts. Nothing is stored: the turn follows from the runs that were before.

-- Since when a pending run of a queue may start: its creation, retry or last change; or the end of the last run that was
-- queued before it; or the end of the run that was running then. Later runs that are not queued change nothing: between
-- two of them it might have started. Of each, the 1,000 runs created last are looked at, in the index of the workflow,
-- which includes their ends; only those that ended later are read.
CREATE FUNCTION turn_since(run uuid) RETURNS timestamptz STABLE LANGUAGE sql AS $$
    WITH own AS (
        SELECT id, workflow_id, created_at, greatest(created_at, updated_at) AS ready_at
        FROM workflow_executions WHERE id = run
    ), first AS MATERIALIZED (
        SELECT workflow_id, greatest(ready_at, (
            SELECT max(before.ended_at) FROM (
                SELECT id, ended_at FROM workflow_executions AS earlier
                WHERE earlier.workflow_id = own.workflow_id AND (earlier.created_at, earlier.id) < (own.created_at, own.id)
                ORDER BY earlier.created_at DESC, earlier.id DESC LIMIT 1000
            ) AS found JOIN workflow_executions AS before USING (id)
            WHERE found.ended_at > ready_at AND before.is_queued
        )) AS at FROM own
    )
    SELECT greatest(at, (
        SELECT max(other.ended_at) FROM (
            SELECT id, started_at, ended_at FROM workflow_executions AS earlier
            WHERE earlier.workflow_id = first.workflow_id AND earlier.created_at <= at
            ORDER BY earlier.created_at DESC, earlier.id DESC LIMIT 1000
        ) AS found JOIN workflow_executions AS other USING (id)
        WHERE found.started_at <= at AND found.ended_at > at AND NOT other.metadata @> '{"allow_concurrent": true}'
    )) FROM first
$$;

-- The first of each queue, if no run of its workflow is running and it has been its turn for `quiet` seconds. Pending
-- runs are read once, by the index on the status: to ask for each which ones are ahead would read a queue once per run.
CREATE FUNCTION unstarted_runs(among uuid[], quiet float8) RETURNS TABLE (run_id uuid, since timestamptz)
    STABLE LANGUAGE plpgsql ROWS 20 AS $$
#variable_conflict use_column
DECLARE
    lately timestamptz := now() - make_interval(secs => quiet);
    asked uuid[] := ARRAY(
        SELECT DISTINCT workflow_id FROM workflow_executions
        WHERE id = ANY (among) AND status = 'pending' AND is_queued
    );
BEGIN
    RETURN QUERY
        WITH heads AS MATERIALIZED (
            SELECT DISTINCT ON (workflow_id) id, workflow_id, created_at, updated_at
            FROM workflow_executions
            WHERE status = 'pending' AND is_queued AND (among IS NULL OR workflow_id = ANY (asked))
            ORDER BY workflow_id, created_at, id
        ), free AS MATERIALIZED (
            SELECT heads.id FROM heads JOIN workflows ON workflows.id = workflow_id
            WHERE (among IS NULL OR heads.id = ANY (among))
                AND heads.created_at < lately AND heads.updated_at < lately
                AND workflows.is_active AND workflows.deleted_at IS NULL
                AND NOT EXISTS (
                    SELECT FROM workflow_executions AS other
                    WHERE other.workflow_id = heads.workflow_id AND other.status = 'running'
                        AND NOT other.metadata @> '{"allow_concurrent": true}'
                )
        )
        SELECT id, turn.since FROM free CROSS JOIN LATERAL (SELECT turn_since(id) AS since) AS turn
        WHERE turn.since < lately;
END
$$;
