-- Store what a batch of facts changes (executions/facts/row_storage.py), all of it in one call: a call for each table
-- takes longer than the rows of one run. Each parameter is a list of rows, by the names of the columns; NULL for none.
-- Changed rows are locked since they were read. Columns that a changed row does not have keep their values; those that a
-- line does not have, or a run of a server that knows no queue, are NULL or false.
CREATE OR REPLACE FUNCTION record_facts(
    note text, ended_runs json, new_runs json, running_runs json, new_nodes json, changed_nodes json,
    attempts_of_runs json, attempts_of_nodes json, entries json, lines json
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF note IS NOT NULL THEN
        PERFORM ledger_noted(now(), note);
    END IF;

    -- A run that ends makes room for one that starts.
    IF ended_runs IS NOT NULL THEN
        PERFORM change_runs_of_facts(ended_runs);
    END IF;
    IF new_runs IS NOT NULL THEN
        INSERT INTO workflow_executions (
            id, status, attempt, version, started_at, ended_at, created_at, workflow_id, graph_id, trigger_type,
            failed_nodes, encrypted_secrets, error_message, input_data, output_data, context, metadata, is_queued
        ) SELECT
            id, status, attempt, version, started_at, ended_at, created_at, workflow_id, graph_id, trigger_type,
            failed_nodes, encrypted_secrets, error_message, input_data, output_data, context, metadata,
            coalesce(is_queued, false)
        FROM json_populate_recordset(NULL::workflow_executions, new_runs);
    END IF;
    IF running_runs IS NOT NULL THEN
        PERFORM change_runs_of_facts(running_runs);
    END IF;

    IF new_nodes IS NOT NULL THEN
        INSERT INTO node_executions (
            id, status, attempt, version, started_at, ended_at, created_at, workflow_execution_id, node_id,
            execution_order, retry_count, settled, error_message, error_traceback, input_data, output_data
        ) SELECT
            id, status, attempt, version, started_at, ended_at, created_at, workflow_execution_id, node_id,
            execution_order, retry_count, settled, error_message, error_traceback, input_data, output_data
        FROM json_populate_recordset(NULL::node_executions, new_nodes);
    END IF;
    IF changed_nodes IS NOT NULL THEN
        UPDATE node_executions AS node SET
            status = new.status, attempt = new.attempt, version = new.version, started_at = new.started_at,
            ended_at = new.ended_at, created_at = new.created_at, output_data = new.output_data,
            error_message = new.error_message, error_traceback = new.error_traceback, error_code = new.error_code,
            retry_count = new.retry_count, settled = new.settled, updated_at = statement_timestamp()
        FROM json_array_elements(changed_nodes) AS changed
        JOIN node_executions AS old ON old.id = (changed ->> 'id')::uuid
        CROSS JOIN json_populate_record(old, changed) AS new
        WHERE node.id = old.id;
    END IF;

    IF attempts_of_runs IS NOT NULL THEN
        INSERT INTO workflow_execution_attempts (
            id, workflow_execution_id, number, status, started_at, ended_at, output_data, error_message, error_code
        ) SELECT
            id, workflow_execution_id, number, status, started_at, ended_at, output_data, error_message, error_code
        FROM json_populate_recordset(NULL::workflow_execution_attempts, attempts_of_runs);
    END IF;
    IF attempts_of_nodes IS NOT NULL THEN
        INSERT INTO node_execution_attempts (
            id, node_execution_id, number, status, started_at, ended_at, output_data, error_message, error_traceback,
            error_code
        ) SELECT
            id, node_execution_id, number, status, started_at, ended_at, output_data, error_message, error_traceback,
            error_code
        FROM json_populate_recordset(NULL::node_execution_attempts, attempts_of_nodes);
    END IF;

    IF note IS NOT NULL THEN
        PERFORM write_history_of_facts(coalesce(entries, '[]'));
    END IF;
    IF lines IS NOT NULL THEN
        INSERT INTO execution_logs (
            id, workflow_execution_id, node_execution_id, level, message, data, "timestamp", is_cut, source, seq, attempt
        ) SELECT
            id, workflow_execution_id, node_execution_id, level, message, data, "timestamp", coalesce(is_cut, false),
            source, seq, attempt
        FROM json_populate_recordset(NULL::execution_logs, lines);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION change_runs_of_facts(changed_runs json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE workflow_executions AS run SET
        status = new.status, attempt = new.attempt, version = new.version, started_at = new.started_at,
        ended_at = new.ended_at, created_at = new.created_at, output_data = new.output_data,
        error_message = new.error_message, error_code = new.error_code, failed_nodes = new.failed_nodes,
        encrypted_secrets = new.encrypted_secrets, updated_at = statement_timestamp()
    FROM json_array_elements(changed_runs) AS changed
    JOIN workflow_executions AS old ON old.id = (changed ->> 'id')::uuid
    CROSS JOIN json_populate_record(old, changed) AS new
    WHERE run.id = old.id;
END
$$;
