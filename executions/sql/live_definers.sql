-- Who may write lines need not be allowed to read who watches: these look it up as the owner of the ledger does, in its
-- own schema and nowhere before it. They tell their caller nothing, and nobody can call them but by a row that was written.
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
