-- The record of a run that upkeep deleted may be deleted itself, a day later at the earliest: there are as many of them
-- as runs. All others remain.
CREATE OR REPLACE FUNCTION deletions_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.through = 'in_process' AND OLD.username = 'upkeep' AND OLD.token_id IS NULL
        AND OLD.happened_at < statement_timestamp() - interval '1 day'
    THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'The record of a deleted run cannot be changed.'
        USING ERRCODE = 'integrity_constraint_violation', TABLE = 'execution_deletions';
END
$$;

-- CREATE OR REPLACE resets these settings.
DO $do$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION deletions_append_only() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp',
        current_schema()
    );
END
$do$;
