-- Streams of all runs report deletions too: the record of the deletion has the transaction id.
ALTER TABLE execution_deletions ADD COLUMN written_by xid8;
ALTER TABLE execution_deletions ALTER COLUMN written_by SET DEFAULT pg_current_xact_id();

CREATE FUNCTION tell_of_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('ledger_runs', workflow_execution_id::text)
    FROM execution_watches
    WHERE until > clock_timestamp() AND quiet_until < clock_timestamp()
        AND workflow_execution_id IN (NEW.workflow_execution_id, '00000000-0000-0000-0000-000000000000');
    RETURN NULL;
END
$$;
CREATE TRIGGER tell_of_deletion AFTER INSERT ON execution_deletions
    FOR EACH ROW EXECUTE FUNCTION tell_of_deletion();
