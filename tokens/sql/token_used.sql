-- Record the use of a token, unless it was used since `until`. Return whether it was recorded. Never waits: if another
-- transaction has locked the row, to record the use or to revoke the token, nothing is recorded.
--
-- Called by the query that finds the token, so that one statement does both. It reads the row again, so that only one
-- of many concurrent requests records the use.
CREATE FUNCTION token_used(token uuid, until timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE tokens SET last_used_at = statement_timestamp() WHERE id IN (
        SELECT id FROM tokens
        WHERE id = token AND (last_used_at IS NULL OR last_used_at < until)
        FOR NO KEY UPDATE SKIP LOCKED
    );
    RETURN FOUND;
END
$$;
