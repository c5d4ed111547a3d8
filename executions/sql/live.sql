-- Columns and triggers of the live streams (executions/live): the transaction that wrote a row, and notifications.
--
-- Ids and times are assigned before a transaction commits, so a reader that remembers the last id misses a line of an
-- older transaction that commits later. Comparing the transaction id with a snapshot shows exactly what has become
-- visible since the snapshot. Rows from before this column count as visible in every snapshot.
ALTER TABLE execution_logs ADD COLUMN written_by xid8;
ALTER TABLE execution_logs ALTER COLUMN written_by SET DEFAULT pg_current_xact_id();
ALTER TABLE node_executions ADD COLUMN written_by xid8;
ALTER TABLE node_executions ALTER COLUMN written_by SET DEFAULT pg_current_xact_id();
ALTER TABLE execution_history ADD COLUMN written_by xid8;
ALTER TABLE execution_history ALTER COLUMN written_by SET DEFAULT pg_current_xact_id();

-- The watched runs, renewed by each server while it has readers. Commits that notify are serialised, so nobody notifies
-- about a run that is not watched. The transitions of all runs are watched under the id of zeros. The table may be
-- lost: a server that finds its row missing inserts it again.
CREATE UNLOGGED TABLE execution_watches (
    workflow_execution_id uuid PRIMARY KEY,
    until timestamptz NOT NULL,
    quiet_until timestamptz NOT NULL DEFAULT '-infinity' -- a busy run is polled, and needs no notification
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
