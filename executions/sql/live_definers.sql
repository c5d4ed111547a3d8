-- A role that may write log lines may lack the right to read watches, so these functions run as the owner of the ledger
-- and look up names in its schema only. They return nothing to the caller and run only as triggers.
DO $$
DECLARE
    told text;
BEGIN
    FOREACH told IN ARRAY ARRAY['tell_of_rows', 'tell_of_move', 'tell_of_deletion'] LOOP
        EXECUTE format(
            'ALTER FUNCTION %I() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', told, current_schema()
        );
    END LOOP;
END
$$;
