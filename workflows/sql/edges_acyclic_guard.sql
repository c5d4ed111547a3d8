-- As in executions/sql/guards.sql, repeated because the function was created again: it runs as its owner, looks up
-- names in the ledger's schema before temporary ones, and no other role may use it as a trigger.
DO $do$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION edges_acyclic() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', current_schema()
    );
END
$do$;
REVOKE ALL ON FUNCTION edges_acyclic(), node_on_circle(uuid) FROM PUBLIC;
