-- The function looks up names in the ledger's schema before temporary ones.
DO $do$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION token_used(uuid, timestamptz) SET search_path = pg_catalog, %I, pg_temp', current_schema()
    );
END
$do$;
REVOKE ALL ON FUNCTION token_used(uuid, timestamptz) FROM PUBLIC;
