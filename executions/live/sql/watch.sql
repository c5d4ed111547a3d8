-- In the order of the ids: two servers that write down the same ones would wait for each other.
INSERT INTO execution_watches
SELECT id, clock_timestamp() + make_interval(secs => %(seconds)s) FROM unnest(%(ids)s::uuid[]) AS id ORDER BY id
ON CONFLICT (workflow_execution_id) DO UPDATE SET until = EXCLUDED.until
RETURNING quiet_until > clock_timestamp()
