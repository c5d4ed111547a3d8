-- Ordered by id: otherwise two servers that insert the same ids could deadlock.
INSERT INTO execution_watches
SELECT id, clock_timestamp() + make_interval(secs => %(seconds)s) FROM unnest(%(ids)s::uuid[]) AS id ORDER BY id
ON CONFLICT (workflow_execution_id) DO UPDATE SET until = EXCLUDED.until
RETURNING quiet_until > clock_timestamp()
