-- As executions/sql/guards.sql does it, for the function was made anew since: it runs as its owner, looks up names in the
-- ledger's own schema before any temporary one, and nobody hangs it on a table of their own.
DO $do$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION edges_acyclic() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', current_schema()
    );
END
$do$;
REVOKE ALL ON FUNCTION edges_acyclic(), node_on_circle(uuid) FROM PUBLIC;
