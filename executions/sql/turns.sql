-- The current version of turn_since(), in place of that in turn_since.sql.
-- Since when a pending run of a queue may start, as in unstarted.sql, and runs that were deleted count too: until their
-- end, or until they were deleted if they were pending or running then. Of the records of deletions the 1,000 last ones
-- are looked at, but not those of upkeep: it deletes what ended long ago. They do not say whether a run was queued or
-- allowed others, so each counts that was created before, or was running when the run could have started first.
-- Pending runs are no end: a queue of thousands hides none.
CREATE OR REPLACE FUNCTION turn_since(run uuid) RETURNS timestamptz STABLE LANGUAGE sql AS $$
    WITH own AS (
        SELECT id, workflow_id, created_at, greatest(created_at, updated_at) AS ready_at
        FROM workflow_executions WHERE id = run
    ), deleted AS MATERIALIZED (
        SELECT record.* FROM own CROSS JOIN LATERAL (
            SELECT workflow_execution_id AS id, made_at, started_at, coalesce(ended_at, happened_at) AS ended_at
            FROM execution_deletions
            WHERE workflow_id = own.workflow_id AND happened_at > ready_at
                AND NOT (through = 'in_process' AND username = 'upkeep')
            ORDER BY happened_at DESC LIMIT 1000
        ) AS record
    ), first AS MATERIALIZED (
        SELECT workflow_id, greatest(ready_at, (
            SELECT max(before.ended_at) FROM (
                SELECT id, ended_at FROM workflow_executions AS earlier
                WHERE earlier.workflow_id = own.workflow_id AND (earlier.created_at, earlier.id) < (own.created_at, own.id)
                    AND earlier.ended_at IS NOT NULL
                ORDER BY earlier.created_at DESC, earlier.id DESC LIMIT 1000
            ) AS found JOIN workflow_executions AS before USING (id)
            WHERE found.ended_at > ready_at AND before.is_queued
        ), (
            SELECT max(ended_at) FROM deleted WHERE (made_at, deleted.id) < (own.created_at, own.id)
        )) AS at FROM own
    )
    SELECT greatest(at, (
        SELECT max(other.ended_at) FROM (
            SELECT id, started_at, ended_at FROM workflow_executions AS earlier
            WHERE earlier.workflow_id = first.workflow_id AND earlier.created_at <= at AND earlier.ended_at IS NOT NULL
            ORDER BY earlier.created_at DESC, earlier.id DESC LIMIT 1000
        ) AS found JOIN workflow_executions AS other USING (id)
        WHERE found.started_at <= at AND found.ended_at > at AND NOT other.metadata @> '{"allow_concurrent": true}'
    ), (
        SELECT max(ended_at) FROM deleted WHERE started_at <= at AND ended_at > at
    )) FROM first
$$;
