-- What the streams need (executions/live): which transaction wrote a row, and a word to those who wait for it.
--
-- Ids and times are handed out before a transaction commits, so whoever remembers the last id that it saw misses the
-- line of an older transaction that commits later. The transaction's own number, held against a snapshot, tells exactly
-- what has become visible since that snapshot. What was there before this column counts as seen by every snapshot.
ALTER TABLE execution_logs ADD COLUMN written_by xid8;
ALTER TABLE execution_logs ALTER COLUMN written_by SET DEFAULT pg_current_xact_id();
CREATE INDEX idx_execution_logs_written_by ON execution_logs (workflow_execution_id, written_by)
    WHERE written_by IS NOT NULL;
ALTER TABLE node_executions ADD COLUMN written_by xid8;
ALTER TABLE node_executions ALTER COLUMN written_by SET DEFAULT pg_current_xact_id();
ALTER TABLE execution_history ADD COLUMN written_by xid8;
ALTER TABLE execution_history ALTER COLUMN written_by SET DEFAULT pg_current_xact_id();
CREATE INDEX idx_execution_history_written_by ON execution_history (written_by, id)
    WHERE written_by IS NOT NULL AND node_execution_id IS NULL;

-- Who waits for what, renewed by each server while somebody watches: a commit that notifies takes its turn behind every
-- other such commit, so that nobody is told of a run that nobody watches. The moves of all runs are watched under the
-- id of zeros. Nothing is lost with the table: a server that finds its row gone writes it anew.
CREATE UNLOGGED TABLE execution_watches (
    workflow_execution_id uuid PRIMARY KEY,
    until timestamptz NOT NULL,
    quiet_until timestamptz NOT NULL DEFAULT '-infinity' -- who watches a busy run reads it at their own pace anyway
);

CREATE FUNCTION tell_of_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM execution_watches WHERE until > clock_timestamp() AND quiet_until < clock_timestamp()
    ) THEN
        PERFORM pg_notify('ledger_runs', workflow_execution_id::text)
        FROM (SELECT DISTINCT workflow_execution_id FROM written) AS runs
        JOIN execution_watches USING (workflow_execution_id)
        WHERE until > clock_timestamp() AND quiet_until < clock_timestamp();
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER tell_of_lines AFTER INSERT ON execution_logs
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION tell_of_rows();
CREATE TRIGGER tell_of_nodes AFTER INSERT ON node_executions
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION tell_of_rows();

CREATE FUNCTION tell_of_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('ledger_runs', workflow_execution_id::text)
    FROM execution_watches
    WHERE until > clock_timestamp() AND quiet_until < clock_timestamp() AND (
        workflow_execution_id = NEW.workflow_execution_id
        OR workflow_execution_id = '00000000-0000-0000-0000-000000000000' AND NEW.node_execution_id IS NULL
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER tell_of_move AFTER INSERT ON execution_history
    FOR EACH ROW EXECUTE FUNCTION tell_of_move();
