-- Log lines are immutable, whatever client tries to change them. Deleting is left to retention and cascades.
CREATE FUNCTION execution_logs_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A log line is a fact and cannot be changed: add another line instead.'
        USING ERRCODE = 'integrity_constraint_violation', TABLE = 'execution_logs';
END
$$;
CREATE TRIGGER execution_logs_immutable BEFORE UPDATE ON execution_logs
    FOR EACH ROW EXECUTE FUNCTION execution_logs_immutable();
