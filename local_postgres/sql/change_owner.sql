-- Make the application's role the owner of everything in a database that a superuser created, except objects of
-- extensions. A sequence is transferred with the table of its column.
DO $do$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT format('ALTER TABLE %s OWNER TO pastetrader', oid::regclass) AS statement
        FROM pg_class AS each
        WHERE relowner = current_user::regrole AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't'
            AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
            AND NOT EXISTS (
                SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = each.oid
                    AND (deptype = 'e' OR each.relkind = 'S' AND deptype IN ('a', 'i'))
            )
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO pastetrader', oid::regprocedure)
        FROM pg_proc AS each
        WHERE proowner = current_user::regrole AND pronamespace::regnamespace::text !~ '^(pg_|information_schema$)'
            AND NOT EXISTS (
                SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = each.oid AND deptype = 'e'
            )
    LOOP
        EXECUTE given.statement;
    END LOOP;
END
$do$
