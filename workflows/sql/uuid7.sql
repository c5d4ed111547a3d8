-- A UUIDv7 of the current time, for rows inserted by plain SQL. PostgreSQL 18 has a built-in function; before that, a
-- random UUIDv4 gets the milliseconds since 1970 as its first 48 bits and 7 as its version.
DO $do$
BEGIN
    IF current_setting('server_version_num')::int >= 180000 THEN
        CREATE FUNCTION ledger_uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
            AS 'SELECT uuidv7()';
    ELSE
        CREATE FUNCTION ledger_uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
            AS $body$
                SELECT encode(
                    set_bit(set_bit(overlay(
                        uuid_send(gen_random_uuid())
                        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                        FROM 1 FOR 6
                    ), 52, 1), 53, 1), 'hex')::uuid
            $body$;
    END IF;
END
$do$;
