-- Notes that a token is used, unless it was used since `until`; whether it was noted here. Nobody waits for it: where
-- another request is just noting the same, or an administrator revokes the token, it is left to the next one.
--
-- Called by the question that finds the token: one statement does both. Within it the row is looked at anew, so that of
-- many who asked together one notes it.
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
