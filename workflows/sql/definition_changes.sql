-- The history of definitions and tokens: one row for each statement that changed something, per workflow or token,
-- whatever client sent it. A trigger writes it in that statement.
--
-- The actor is set before it, in the same transaction, by definitions_actor(), which only the application's role may
-- call. A change without an actor is recorded as plain SQL.
CREATE FUNCTION definitions_actor(note text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM set_config('ledger.actor', note, true);
END
$$;
REVOKE ALL ON FUNCTION definitions_actor(text) FROM PUBLIC;

-- The actor that was set. Accepted only from roles that may execute definitions_actor(); any other role could set the
-- variable to anything.
CREATE FUNCTION definitions_note() RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    invoker name := CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role')::name END;
BEGIN
    IF has_function_privilege(invoker, 'definitions_actor(text)', 'EXECUTE') THEN
        RETURN coalesce(nullif(current_setting('ledger.actor', true), '')::jsonb, '{"through": "sql"}');
    END IF;
    RETURN '{"through": "sql"}';
END
$$;
REVOKE ALL ON FUNCTION definitions_note() FROM PUBLIC;

-- The stored form of a value: a long one is cut.
CREATE FUNCTION kept_value(value jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN length(value::text) <= 300 THEN value ELSE to_jsonb(left(value::text, 300) || ' …') END
$$;

-- The fields that differ, as {name: [before, after]}, without columns that the database sets itself.
CREATE FUNCTION changed_fields(before jsonb, after jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(
        jsonb_object_agg(key, jsonb_build_array(kept_value(before -> key), kept_value(after -> key)) ORDER BY key), '{}'
    )
    FROM jsonb_object_keys(before || after) AS key
    WHERE before -> key IS DISTINCT FROM after -> key
        AND NOT (before = '{}' AND after -> key IN ('null', '""', '{}', '[]')) -- of a new row, only fields with a value
        AND key NOT IN ('id', 'workflow_id', 'version', 'created_at', 'updated_at', 'last_used_at', 'digest')
$$;

-- The name of a node or token; of an edge, its two ends.
CREATE FUNCTION definition_name(of_kind text, some_row jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN of_kind <> 'edge' THEN some_row ->> 'name' ELSE concat(
        (SELECT name FROM nodes WHERE id = (some_row ->> 'source_node_id')::uuid), ' → ',
        (SELECT name FROM nodes WHERE id = (some_row ->> 'target_node_id')::uuid)
    ) END
$$;

-- The changes of one statement, by workflow or token. `pairs` holds rows before and after; either may be null.
CREATE FUNCTION write_definition_changes(of_kind text, pairs jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    note jsonb := definitions_note();
BEGIN
    INSERT INTO definition_changes (
        kind, subject_id, subject_name, act, rows, more,
        happened_at, through, user_id, username, token_id, token_name, reason, request_id
    )
    SELECT
        of_kind, subject, subject_name, act, rows, more,
        clock_timestamp(), note ->> 'through', coalesce(note ->> 'user_id', ''), coalesce(note ->> 'username', ''),
        (note ->> 'token_id')::uuid, coalesce(note ->> 'token_name', ''), coalesce(note ->> 'reason', ''),
        coalesce(note ->> 'request_id', '')
    FROM (
        SELECT
            subject, act, greatest(count(*) - 50, 0) AS more,
            CASE WHEN of_kind IN ('node', 'edge') THEN (SELECT name FROM workflows WHERE id = subject)
                ELSE max(some_row ->> 'name') END AS subject_name,
            -- Names are looked up only for the rows that are stored.
            jsonb_agg(jsonb_build_object('name', definition_name(of_kind, some_row), 'fields', fields) ORDER BY place)
                FILTER (WHERE place <= 50) AS rows
        FROM (
            SELECT *, row_number() OVER (PARTITION BY subject, act ORDER BY some_row ->> 'id') AS place
            FROM (
                SELECT
                    some_row,
                    (some_row ->> CASE WHEN of_kind IN ('node', 'edge') THEN 'workflow_id' ELSE 'id' END)::uuid AS subject,
                    CASE WHEN before IS NULL THEN 'create' WHEN after IS NULL THEN 'delete' ELSE 'change' END AS act,
                    changed_fields(coalesce(before, '{}'), coalesce(after, '{}')) AS fields
                FROM (
                    SELECT nullif(pair -> 0, 'null') AS before, nullif(pair -> 1, 'null') AS after,
                        coalesce(nullif(pair -> 1, 'null'), pair -> 0) AS some_row
                    FROM jsonb_array_elements(pairs) AS pair
                ) AS read
            ) AS compared
            WHERE fields <> '{}'
        ) AS numbered
        GROUP BY subject, act
    ) AS grouped
    WHERE subject_name IS NOT NULL; -- rows deleted with their workflow are part of its own deletion
END
$$;
REVOKE ALL ON FUNCTION write_definition_changes(text, jsonb) FROM PUBLIC;

CREATE FUNCTION definition_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_definition_changes(
        TG_ARGV[0], (SELECT jsonb_agg(jsonb_build_array(NULL, to_jsonb(after))) FROM after_rows AS after)
    );
    RETURN NULL;
END
$$;

CREATE FUNCTION definition_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_definition_changes(TG_ARGV[0], (
        SELECT jsonb_agg(jsonb_build_array(to_jsonb(before), to_jsonb(after)))
        FROM before_rows AS before JOIN after_rows AS after USING (id)
    ));
    RETURN NULL;
END
$$;

CREATE FUNCTION definition_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM write_definition_changes(
        TG_ARGV[0], (SELECT jsonb_agg(jsonb_build_array(to_jsonb(before), NULL)) FROM before_rows AS before)
    );
    RETURN NULL;
END
$$;

CREATE FUNCTION definition_changes_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'What was changed of definitions and tokens stays written down: it cannot be changed.'
        USING ERRCODE = 'integrity_constraint_violation', TABLE = 'definition_changes';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON definition_changes
    FOR EACH ROW EXECUTE FUNCTION definition_changes_append_only();

-- Only the owner may truncate the table, and only together with the definitions.
CREATE FUNCTION definition_changes_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    invoker name := CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role')::name END;
BEGIN
    IF NOT pg_has_role(invoker, current_user, 'MEMBER') OR EXISTS (SELECT FROM workflows) THEN
        RAISE EXCEPTION 'What was changed of definitions and tokens stays written down: it cannot be truncated.'
            USING ERRCODE = 'integrity_constraint_violation', TABLE = 'definition_changes';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER emptied AFTER TRUNCATE ON definition_changes
    FOR EACH STATEMENT EXECUTE FUNCTION definition_changes_emptied();

-- A role with INSERT still cannot write rows, because no policy allows it. The owner is exempt.
ALTER TABLE definition_changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY changes_read ON definition_changes FOR SELECT USING (true);
CREATE POLICY changes_changed ON definition_changes FOR UPDATE USING (true); -- and refused by its trigger
CREATE POLICY changes_deleted ON definition_changes FOR DELETE USING (true); -- so this one

DO $do$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY[
        'definition_inserted', 'definition_updated', 'definition_deleted', 'definition_changes_append_only',
        'definition_changes_emptied'
    ] LOOP
        EXECUTE format(
            'ALTER FUNCTION %I() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', guarded, current_schema()
        );
        EXECUTE format('REVOKE ALL ON FUNCTION %I() FROM PUBLIC', guarded);
    END LOOP;
END
$do$;
