-- Groups of errors (models/error_group.py): the counts of occurrences by fingerprint, day, node and group, and the
-- history of each group. Both are written by triggers, so neither can be left out.

-- Add up the groups from their fingerprints. A group without any, which was merged, keeps its numbers.
CREATE FUNCTION count_error_groups(ids uuid[]) RETURNS void LANGUAGE sql AS $$
    UPDATE error_groups AS error_group SET seen = found.seen, first_seen = found.first, last_seen = found.last
    FROM (
        SELECT group_id, sum(seen) AS seen, min(first_seen) AS first, max(last_seen) AS last
        FROM error_fingerprints WHERE group_id = ANY(ids) GROUP BY 1
    ) AS found
    WHERE error_group.id = found.group_id
$$;

-- A resolved group that has failed since is open again. A failure from before (an import) does not open it.
CREATE FUNCTION count_error_occurrences() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE error_fingerprints AS fingerprint SET seen = seen + found.number,
        first_seen = least(first_seen, found.first), last_seen = greatest(last_seen, found.last)
    FROM (
        SELECT fingerprint_id, count(*) AS number, min(happened_at) AS first, max(happened_at) AS last
        FROM new_rows GROUP BY 1
    ) AS found
    WHERE fingerprint.id = found.fingerprint_id;

    INSERT INTO error_days AS counted (fingerprint_id, day, seen)
    SELECT fingerprint_id, (happened_at AT TIME ZONE 'UTC')::date, count(*) FROM new_rows GROUP BY 1, 2
    ON CONFLICT (fingerprint_id, day) DO UPDATE SET seen = counted.seen + EXCLUDED.seen;

    UPDATE error_nodes AS counted SET seen = counted.seen + found.number,
        last_seen = greatest(counted.last_seen, found.last)
    FROM (
        SELECT fingerprint_id, node_name, count(*) AS number, max(happened_at) AS last FROM new_rows GROUP BY 1, 2
    ) AS found
    WHERE counted.fingerprint_id = found.fingerprint_id AND counted.node_name = found.node_name;
    INSERT INTO error_nodes (fingerprint_id, node_name, seen, last_seen)
    SELECT fingerprint_id, node_name, number, last FROM (
        SELECT fingerprint_id, node_name, count(*) AS number, max(happened_at) AS last,
            row_number() OVER (PARTITION BY fingerprint_id ORDER BY node_name)
                + (SELECT count(*) FROM error_nodes AS n WHERE n.fingerprint_id = new_rows.fingerprint_id) AS place
        FROM new_rows
        WHERE node_name <> '' AND NOT EXISTS (
            SELECT FROM error_nodes AS n
            WHERE n.fingerprint_id = new_rows.fingerprint_id AND n.node_name = new_rows.node_name
        )
        GROUP BY 1, 2
    ) AS unknown WHERE place <= 100;

    PERFORM count_error_groups(ARRAY(
        SELECT DISTINCT group_id FROM error_fingerprints WHERE id IN (SELECT fingerprint_id FROM new_rows)
    ));
    UPDATE error_groups SET state = 'open', is_regression = true, resolved_at = NULL, opened_at = now(),
        version = version + 1, updated_at = now()
    WHERE state = 'resolved' AND id IN (
        SELECT group_id FROM new_rows JOIN error_fingerprints AS fingerprint ON fingerprint.id = fingerprint_id
        WHERE happened_at > error_groups.resolved_at
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER count_error_occurrences AFTER INSERT ON error_occurrences
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_error_occurrences();

-- The actor is that of definitions (definition_changes.sql).
CREATE FUNCTION note_error_group(of_group uuid, act text, fields jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    note jsonb := definitions_note();
BEGIN
    INSERT INTO error_group_changes (
        group_id, act, fields, happened_at, through, user_id, username, token_id, token_name, reason, request_id
    ) VALUES (
        of_group, act, fields, clock_timestamp(), note ->> 'through', coalesce(note ->> 'user_id', ''),
        coalesce(note ->> 'username', ''), (note ->> 'token_id')::uuid, coalesce(note ->> 'token_name', ''),
        coalesce(note ->> 'reason', ''), coalesce(note ->> 'request_id', '')
    );
END
$$;

CREATE FUNCTION history_of_error_group() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := CASE WHEN TG_OP = 'UPDATE' THEN jsonb_build_object(
        'state', OLD.state, 'muted_until', OLD.muted_until, 'assignee', OLD.assignee_id, 'merged_into', OLD.merged_into_id
    ) END;
    after jsonb := jsonb_build_object(
        'state', NEW.state, 'muted_until', NEW.muted_until, 'assignee', NEW.assignee_id, 'merged_into', NEW.merged_into_id
    );
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM note_error_group(NEW.id, 'new', '{}');
    ELSIF before <> after THEN
        PERFORM note_error_group(
            NEW.id,
            CASE WHEN NEW.is_regression AND NOT OLD.is_regression THEN 'regression'
                WHEN NEW.merged_into_id IS DISTINCT FROM OLD.merged_into_id THEN 'merge' ELSE 'change' END,
            changed_fields(before, after)
        );
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER history_insert AFTER INSERT ON error_groups
    FOR EACH ROW EXECUTE FUNCTION history_of_error_group();
CREATE TRIGGER history_update AFTER UPDATE OF state, muted_until, assignee_id, merged_into_id ON error_groups
    FOR EACH ROW EXECUTE FUNCTION history_of_error_group();

CREATE FUNCTION error_group_changes_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND pg_trigger_depth() > 1 THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'The history of an error group cannot be changed.'
        USING ERRCODE = 'integrity_constraint_violation', TABLE = 'error_group_changes';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON error_group_changes
    FOR EACH ROW EXECUTE FUNCTION error_group_changes_append_only();

-- They write for whoever causes the change. Nobody else calls them, or hangs them on another table.
REVOKE ALL ON FUNCTION note_error_group(uuid, text, jsonb), count_error_groups(uuid[]), count_error_occurrences(),
    history_of_error_group(), error_group_changes_append_only() FROM PUBLIC;
DO $do$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY[
        'count_error_occurrences', 'history_of_error_group', 'error_group_changes_append_only'
    ]
    LOOP
        EXECUTE format(
            'ALTER FUNCTION %I() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', guarded, current_schema()
        );
    END LOOP;
END
$do$;
