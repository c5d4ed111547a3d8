-- Rollups of ended runs: results of each workflow by the hour, and by the day (UTC), of the last 8 days.
--
-- An hour is closed after it is over: its runs are counted once and the counts are stored. Whoever asks reads the closed
-- periods, and counts the runs of all other hours: the current one, and those in which something changed since. So
-- nothing is written when a run ends now. A run that ended in an earlier hour (an import, a retry, a deletion) notes that
-- hour in its own transaction, in a row of its own: writers never wait for each other.

-- What a run counts as. Every figure is made of these columns.
CREATE VIEW ended_runs AS
    SELECT workflow_id, ended_at, status = 'completed' AS is_completed, status = 'failed' AS is_failed,
        CASE WHEN status = 'completed' THEN ended_at - started_at END AS duration
    FROM workflow_executions WHERE ended_at IS NOT NULL;

CREATE FUNCTION hour_of(moment timestamptz) RETURNS timestamptz IMMUTABLE LANGUAGE sql
    RETURN date_bin('1 hour', moment, '2000-01-01 00:00+00');
CREATE FUNCTION day_of(moment timestamptz) RETURNS timestamptz IMMUTABLE LANGUAGE sql
    RETURN date_bin('1 day', moment, '2000-01-01 00:00+00');

-- Durations are counted in buckets that each end 4 % above the one before: the middle of a bucket is at most 2 % from
-- every duration in it, or 1 ms in the first one.
CREATE FUNCTION duration_bucket(duration interval) RETURNS integer IMMUTABLE LANGUAGE sql
    RETURN greatest(0, ceil(ln(greatest(extract(epoch FROM duration)::float8, 0.001) / 0.001) / ln(1.02 / 0.98)))::integer;
CREATE FUNCTION bucket_seconds(bucket integer) RETURNS float8 IMMUTABLE LANGUAGE sql
    RETURN 0.001 * 0.98 * (1.02 / 0.98)::float8 ^ bucket;

-- Closed periods from `since` without a change, as few as possible and none longer than `longest`; and, without an id, what
-- lies between and after them. In plpgsql, this and the next functions are planned once in a session.
CREATE FUNCTION periods_since(since timestamptz, longest interval)
    RETURNS TABLE (id uuid, start timestamptz, until timestamptz) STABLE LANGUAGE plpgsql ROWS 40 SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH valid AS MATERIALIZED (
        SELECT id, start, until FROM rollup_periods AS period
        WHERE is_closed AND start >= since AND until - start <= longest AND NOT EXISTS (
            SELECT FROM rollup_changes WHERE hour >= period.start AND hour < period.until
        )
    ), days AS (
        SELECT start FROM valid WHERE until - start > interval '1 hour'
    ), chosen AS MATERIALIZED (
        SELECT id, start, until FROM valid WHERE until - start > interval '1 hour'
        UNION ALL SELECT id, start, until FROM valid
        WHERE until - start = interval '1 hour' AND day_of(start) NOT IN (SELECT start FROM days)
    ), ends AS (
        SELECT until AS start, lead(start, 1, 'infinity') OVER (ORDER BY until) AS until
        FROM (SELECT since AS start, since AS until UNION ALL SELECT start, until FROM chosen) AS all_ends
    )
    SELECT id, start, until FROM chosen UNION ALL SELECT NULL, start, until FROM ends WHERE start < until;
END
$$;

-- Runs that ended from `since`, by hour. The first hour begins at `since`.
CREATE FUNCTION ended_runs_by_hour(since timestamptz)
    RETURNS TABLE (workflow_id uuid, hour timestamptz, completed bigint, failed bigint, ended bigint)
    STABLE LANGUAGE plpgsql SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH periods AS MATERIALIZED (
        SELECT id, start, until FROM periods_since(since, '1 hour')
    )
    SELECT result.workflow_id, periods.start, result.completed, result.failed, result.ended
    FROM periods JOIN rollup_results AS result ON result.period_id = periods.id
    UNION ALL
    SELECT run.workflow_id, greatest(since, hour_of(run.ended_at)), count(*) FILTER (WHERE is_completed),
        count(*) FILTER (WHERE is_failed), count(*)
    FROM periods JOIN ended_runs AS run ON run.ended_at >= periods.start AND run.ended_at < periods.until
    WHERE periods.id IS NULL GROUP BY 1, 2;
END
$$;

-- Durations of the completed runs that ended from `since`: their number, median and 95th percentile in seconds,
-- interpolated as by percentile_cont(). They are exact for a workflow without a closed period, else as exact as the
-- buckets. `workflows` NULL: of all.
CREATE FUNCTION usual_durations(since timestamptz, workflows uuid[])
    RETURNS TABLE (workflow_id uuid, completed bigint, p50 float8, p95 float8) STABLE LANGUAGE plpgsql SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH periods AS MATERIALIZED (
        SELECT id, start, until FROM periods_since(since, '1 day')
    ), closed AS MATERIALIZED (
        SELECT result.workflow_id, bucket, sum(number)::bigint AS number
        FROM periods JOIN rollup_results AS result ON result.period_id = periods.id,
            unnest(buckets, numbers) AS counted (bucket, number)
        WHERE workflows IS NULL OR result.workflow_id = ANY(workflows) GROUP BY 1, 2
    ), open AS MATERIALIZED (
        SELECT run.workflow_id, run.duration
        FROM periods JOIN ended_runs AS run ON run.ended_at >= periods.start AND run.ended_at < periods.until
        WHERE periods.id IS NULL AND run.duration IS NOT NULL
            AND (workflows IS NULL OR run.workflow_id = ANY(workflows))
    ), merged AS (
        SELECT workflow_id, bucket, sum(number) AS number FROM (
            SELECT workflow_id, bucket, number FROM closed
            UNION ALL SELECT workflow_id, duration_bucket(duration), 1 FROM open
            WHERE workflow_id IN (SELECT workflow_id FROM closed)
        ) AS every GROUP BY 1, 2
    ), ranked AS (
        SELECT workflow_id, bucket, sum(number) OVER (PARTITION BY workflow_id ORDER BY bucket) AS upto,
            sum(number) OVER (PARTITION BY workflow_id) AS total
        FROM merged
    ), places AS (
        SELECT workflow_id, share, max(total) AS total, (max(total) - 1) * share % 1 AS between_both,
            bucket_seconds(min(bucket) FILTER (WHERE upto > floor((total - 1) * share))) AS low,
            bucket_seconds(min(bucket) FILTER (WHERE upto > ceil((total - 1) * share))) AS high
        FROM ranked, (VALUES (0.5), (0.95)) AS of (share) GROUP BY 1, 2
    ), exact AS (
        SELECT workflow_id, count(*) AS total,
            percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM duration)::float8) AS found
        FROM open WHERE workflow_id NOT IN (SELECT workflow_id FROM closed) GROUP BY 1
    )
    SELECT workflow_id, total, found[1], found[2] FROM exact
    UNION ALL
    SELECT workflow_id, max(total)::bigint, max(low + (high - low) * between_both) FILTER (WHERE share = 0.5),
        max(low + (high - low) * between_both) FILTER (WHERE share = 0.95)
    FROM places GROUP BY 1;
END
$$;

-- Hours of which a stored count is no longer right. One row of a transaction and hour: rows of others are not looked at,
-- since close_hours() may be deleting them.
CREATE FUNCTION note_changed_hours() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rollup_changes (hour, written_by)
    SELECT DISTINCT hour_of(ended_at), pg_current_xact_id()
    FROM unnest(ARRAY[
        CASE WHEN TG_OP <> 'INSERT' THEN OLD.ended_at END, CASE WHEN TG_OP <> 'DELETE' THEN NEW.ended_at END
    ]) AS ended_at
    WHERE ended_at < hour_of(clock_timestamp())
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
-- The conditions are false for a run that ends now, and for one that is older than every period. clock_timestamp(): by
-- then the transaction has an id (see close_hours()).
CREATE TRIGGER rollup_insert AFTER INSERT ON workflow_executions FOR EACH ROW WHEN (
    NEW.ended_at < date_bin('1 hour', clock_timestamp(), '2000-01-01 00:00+00')
    AND NEW.ended_at > clock_timestamp() - interval '9 days'
) EXECUTE FUNCTION note_changed_hours();
CREATE TRIGGER rollup_update AFTER UPDATE ON workflow_executions FOR EACH ROW WHEN (
    least(OLD.ended_at, NEW.ended_at) < date_bin('1 hour', clock_timestamp(), '2000-01-01 00:00+00')
    AND greatest(OLD.ended_at, NEW.ended_at) > clock_timestamp() - interval '9 days'
    AND (OLD.ended_at, OLD.started_at, OLD.status, OLD.workflow_id)
        IS DISTINCT FROM (NEW.ended_at, NEW.started_at, NEW.status, NEW.workflow_id)
) EXECUTE FUNCTION note_changed_hours();
CREATE TRIGGER rollup_delete AFTER DELETE ON workflow_executions FOR EACH ROW WHEN (
    OLD.ended_at < date_bin('1 hour', clock_timestamp(), '2000-01-01 00:00+00')
    AND OLD.ended_at > clock_timestamp() - interval '9 days'
) EXECUTE FUNCTION note_changed_hours();

CREATE FUNCTION forget_rollups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM rollup_periods;
    DELETE FROM rollup_changes;
    RETURN NULL;
END
$$;
CREATE TRIGGER rollup_truncate AFTER TRUNCATE ON workflow_executions
    FOR EACH STATEMENT EXECUTE FUNCTION forget_rollups();

-- Age, in transactions, of the oldest one that has written runs and has not ended.
CREATE FUNCTION age_of_oldest_writer() RETURNS integer LANGUAGE sql AS $$
    SELECT max(age(ids.transactionid)) FROM pg_locks AS tables JOIN pg_locks AS ids USING (virtualtransaction)
    WHERE tables.relation = 'workflow_executions'::regclass AND tables.mode = 'RowExclusiveLock' AND tables.granted
        AND tables.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ids.locktype = 'transactionid' AND ids.mode = 'ExclusiveLock' AND ids.granted
$$;

-- Close at most `most` hours, the newest first, and the days that they complete; return how many were closed.
--
-- A transaction that wrote a run while its hour was current has noted nothing, and holds its lock on the table until it
-- ends. So an hour is first seen to be over, by a transaction whose id is later than those, and closed when no earlier
-- one holds that lock. Changes are deleted before the runs are read: what commits in between is in the counts, and its
-- note remains.
CREATE FUNCTION close_hours(most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    due uuid[];
    starts timestamptz[];
    oldest integer := age_of_oldest_writer();
BEGIN
    -- With an id from before, the hour might have been current when the transaction got it.
    IF pg_current_xact_id_if_assigned() IS NOT NULL OR NOT pg_try_advisory_xact_lock(hashtext('close_hours')) THEN
        RETURN 0;
    END IF;
    SELECT array_agg(period.id), array_agg(start) INTO due, starts FROM (
        SELECT id, start FROM rollup_periods AS known
        WHERE until - start = interval '1 hour' AND (oldest IS NULL OR age(seen_by::xid) > oldest)
            AND (NOT is_closed OR EXISTS (SELECT FROM rollup_changes WHERE hour = known.start))
        ORDER BY start DESC LIMIT most
    ) AS period;
    INSERT INTO rollup_periods (start, until, seen_by)
    SELECT hour, hour + interval '1 hour', pg_current_xact_id()
    FROM (SELECT hour_of(clock_timestamp()) AS current) AS clock,
        generate_series(current - interval '8 days', current - interval '1 hour', interval '1 hour') AS hour
    WHERE NOT EXISTS (SELECT FROM rollup_periods WHERE start = hour AND until = hour + interval '1 hour');
    IF due IS NULL THEN
        RETURN 0;
    END IF;
    DELETE FROM rollup_changes WHERE hour = ANY(starts) OR hour < hour_of(clock_timestamp()) - interval '9 days';
    DELETE FROM rollup_periods AS day USING unnest(starts) AS hour
    WHERE until - start > interval '1 hour' AND hour >= start AND hour < until;
    DELETE FROM rollup_periods WHERE start < hour_of(clock_timestamp()) - interval '9 days';
    DELETE FROM rollup_results WHERE period_id = ANY(due);
    PERFORM count_hours(due);
    UPDATE rollup_periods SET is_closed = true WHERE id = ANY(due) AND NOT is_closed;
    PERFORM add_up_days();
    RETURN cardinality(due);
END
$$;

CREATE FUNCTION count_hours(due uuid[]) RETURNS void LANGUAGE sql AS $$
    WITH found AS (
        SELECT period.id, run.workflow_id, duration_bucket(duration) AS bucket,
            count(*) FILTER (WHERE is_completed) AS completed, count(*) FILTER (WHERE is_failed) AS failed,
            count(*) AS ended, count(duration) AS number
        FROM rollup_periods AS period JOIN ended_runs AS run ON run.ended_at >= start AND run.ended_at < until
        WHERE period.id = ANY(due) GROUP BY 1, 2, 3
    )
    INSERT INTO rollup_results (period_id, workflow_id, completed, failed, ended, buckets, numbers)
    SELECT id, workflow_id, sum(completed), sum(failed), sum(ended),
        coalesce(array_agg(bucket) FILTER (WHERE number > 0), '{}'),
        coalesce(array_agg(number) FILTER (WHERE number > 0), '{}')
    FROM found GROUP BY 1, 2
$$;

CREATE FUNCTION add_up_days() RETURNS void LANGUAGE sql AS $$
    WITH days AS (
        INSERT INTO rollup_periods (start, until, seen_by, is_closed)
        SELECT day_of(start), day_of(start) + interval '1 day', max(seen_by::text)::xid8, true
        FROM rollup_periods AS hour WHERE until - start = interval '1 hour' AND is_closed AND NOT EXISTS (
            SELECT FROM rollup_periods AS day
            WHERE day.start = day_of(hour.start) AND day.until - day.start = interval '1 day'
        ) GROUP BY 1, 2 HAVING count(*) = 24
        RETURNING id, start, until
    ), hours AS (
        SELECT days.id AS day, result.workflow_id, result.completed, result.failed, result.ended, buckets, numbers
        FROM days JOIN rollup_periods AS hour ON hour.start >= days.start AND hour.until <= days.until
        JOIN rollup_results AS result ON result.period_id = hour.id
    ), durations AS (
        SELECT day, workflow_id, array_agg(bucket) AS buckets, array_agg(number) AS numbers FROM (
            SELECT day, workflow_id, bucket, sum(number) AS number
            FROM hours, unnest(buckets, numbers) AS counted (bucket, number) GROUP BY 1, 2, 3
        ) AS summed GROUP BY 1, 2
    )
    INSERT INTO rollup_results (period_id, workflow_id, completed, failed, ended, buckets, numbers)
    SELECT day, workflow_id, sum(completed), sum(failed), sum(ended),
        coalesce(max(durations.buckets), '{}'), coalesce(max(durations.numbers), '{}')
    FROM hours LEFT JOIN durations USING (day, workflow_id) GROUP BY 1, 2
$$;

-- A role that may write runs may lack the right to write rollups.
DO $do$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['note_changed_hours()', 'forget_rollups()', 'close_hours(integer)'] LOOP
        EXECUTE format(
            'ALTER FUNCTION %s SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', guarded, current_schema()
        );
    END LOOP;
    REVOKE ALL ON FUNCTION note_changed_hours(), forget_rollups() FROM PUBLIC;
END
$do$;
