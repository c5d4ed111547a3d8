-- The history of a batch of facts (executions/facts), which inserts runs in their final state and writes their history
-- itself. The note of such a batch contains `"facts": true`: the triggers write no entries then.
-- write_history_of_facts() writes them and ends that mode.
CREATE OR REPLACE FUNCTION history_of_workflow_execution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ledger_note() ? 'facts' THEN
        RETURN NULL;
    END IF;
    PERFORM write_history(
        NEW.id, NULL, NEW.attempt, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status
    );
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION history_of_node_execution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ledger_note() ? 'facts' THEN
        RETURN NULL;
    END IF;
    PERFORM write_history(NEW.workflow_execution_id, NEW.id, NEW.attempt, OLD.status, NEW.status);
    RETURN NULL;
END
$$;

CREATE FUNCTION write_history_of_facts(entries json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    note jsonb := ledger_note();
BEGIN
    INSERT INTO execution_history (
        id, workflow_execution_id, node_execution_id, attempt, from_status, to_status,
        happened_at, act, through, user_id, username, token_id, token_name, reason, request_id
    )
    SELECT
        entry.id, run, node, entry.attempt, entry.from_status, entry.to_status,
        clock_timestamp(), entry.act, note ->> 'through', coalesce(note ->> 'user_id', ''),
        coalesce(note ->> 'username', ''), (note ->> 'token_id')::uuid, coalesce(note ->> 'token_name', ''),
        entry.reason, coalesce(note ->> 'request_id', '')
    FROM json_to_recordset(entries) AS entry (
        id uuid, run uuid, node uuid, attempt integer, from_status text, to_status text, act text, reason text
    );
    PERFORM set_config('ledger.note', '', true);
END
$$;

-- CREATE OR REPLACE resets these settings. Only the owner, and roles that it grants this to, may write history.
DO $do$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY[
        'history_of_workflow_execution()', 'history_of_node_execution()', 'write_history_of_facts(json)'
    ] LOOP
        EXECUTE format(
            'ALTER FUNCTION %s SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp', guarded, current_schema()
        );
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', guarded);
    END LOOP;
END
$do$;
