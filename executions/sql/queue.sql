-- The runs that a queued run waits for: the one of its workflow that is running, then those that were queued before it,
-- the first created first. A run is in the queue while it is pending; nothing else is stored about its place.
CREATE FUNCTION runs_ahead(run uuid) RETURNS TABLE (id uuid, status text) STABLE LANGUAGE sql ROWS 10 AS $$
    SELECT other.id, other.status::text
    FROM workflow_executions AS own JOIN workflow_executions AS other USING (workflow_id)
    WHERE own.id = run AND own.is_queued AND own.status = 'pending' AND (
        other.status = 'running' AND NOT other.metadata @> '{"allow_concurrent": true}'
        OR other.status = 'pending' AND other.is_queued AND (other.created_at, other.id) < (own.created_at, own.id)
    )
    ORDER BY other.status = 'running' DESC, other.created_at, other.id
$$;
