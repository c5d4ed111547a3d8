-- The transitions of a run and of a node, except the retry (executions/models/base.py): the audit note, the guarded
-- UPDATE of the row, and at the end of a run its nodes, in one call. `sources` are the states that the target is
-- reached from; a row in another state, or in another attempt than `tried`, is not changed, and nothing is returned.
--
-- Python has masked the texts by the secrets that it read (`masked_by`, the encrypted text); where the run has others
-- by now, nothing is changed either. Without `has_texts` there is nothing that they could be in. An output of NULL is
-- left as it is. `moment` is the engine's own time of the transition, else it is the time of the statement; a row is not
-- changed either if it would end before its start. `updated_at` and the history keep the server's time. `code` says why
-- upkeep failed it, or cancelled a run that did not start. A run in the queue of its workflow starts in its turn.

CREATE OR REPLACE FUNCTION move_run(
    run uuid, tried integer, sources text[], target text, output jsonb, error text,
    has_texts boolean, masked_by text, note text,
    settled_pending text, settled_running text, -- what the end of a run makes of its nodes; NULL refuses running ones
    moment timestamptz DEFAULT NULL, code text DEFAULT ''
) RETURNS TABLE (
    status text, started_at timestamptz, ended_at timestamptz, failed_nodes integer, version integer,
    updated_at timestamptz, still_running integer
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    still integer := 0;
BEGIN
    PERFORM ledger_noted(now(), note);
    IF settled_pending IS NOT NULL AND settled_running IS NULL THEN
        -- No node starts after this: that takes the lock of its run.
        PERFORM FROM workflow_executions WHERE id = run AND attempt = tried AND status = ANY (sources)
        FOR NO KEY UPDATE;
        IF FOUND THEN
            SELECT count(*) INTO still FROM node_executions WHERE workflow_execution_id = run AND status = 'running';
        END IF;
        IF still > 0 THEN
            RETURN QUERY SELECT
                NULL::text, NULL::timestamptz, NULL::timestamptz, NULL::integer, NULL::integer, NULL::timestamptz, still;
            RETURN;
        END IF;
    END IF;

    RETURN QUERY
        UPDATE workflow_executions SET
            status = target,
            started_at = CASE target WHEN 'running' THEN coalesce(moment, statement_timestamp()) ELSE started_at END,
            -- The time of the statement may be before the start: it may have waited, or the clock was set back.
            ended_at = CASE WHEN settled_pending IS NULL THEN ended_at
                ELSE greatest(coalesce(moment, statement_timestamp()), started_at) END,
            failed_nodes = CASE WHEN settled_pending IS NULL THEN failed_nodes ELSE (
                SELECT count(*) FROM node_executions AS node
                WHERE node.workflow_execution_id = run AND node.status = 'failed'
            ) END,
            output_data = coalesce(output, output_data),
            error_message = CASE WHEN target = 'failed' OR code <> '' THEN error ELSE error_message END,
            error_code = CASE WHEN target = 'failed' OR code <> '' THEN code ELSE error_code END,
            version = version + 1, updated_at = statement_timestamp()
        WHERE id = run AND attempt = tried AND status = ANY (sources)
            AND (NOT has_texts OR encrypted_secrets IS NOT DISTINCT FROM masked_by)
            AND (target <> 'running' AND moment < started_at) IS NOT TRUE
            AND (target <> 'running' OR NOT is_queued OR NOT EXISTS (SELECT FROM runs_ahead(id) WHERE status = 'pending'))
        RETURNING status::text, started_at, ended_at, failed_nodes, version, updated_at, 0;

    IF FOUND AND settled_pending IS NOT NULL THEN
        UPDATE node_executions SET
            status = CASE status WHEN 'pending' THEN settled_pending ELSE settled_running END,
            ended_at = greatest(coalesce(moment, statement_timestamp()), started_at),
            settled = true, version = version + 1, updated_at = statement_timestamp()
        WHERE workflow_execution_id = run AND status IN ('pending', 'running');
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION move_node(
    node uuid, run uuid, tried integer, sources text[], target text, output jsonb, error text, trace text,
    has_texts boolean, masked_by text, note text, moment timestamptz DEFAULT NULL,
    code text DEFAULT ''
) RETURNS TABLE (
    status text, started_at timestamptz, ended_at timestamptz, version integer, updated_at timestamptz
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM ledger_noted(now(), note);
    -- The run is locked before its nodes, so that verbs do not deadlock. A node starts in a running run alone.
    IF has_texts OR target = 'running' THEN
        PERFORM FROM workflow_executions
        WHERE id = run AND (target <> 'running' OR status = 'running')
            AND (NOT has_texts OR encrypted_secrets IS NOT DISTINCT FROM masked_by)
        FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;

    RETURN QUERY
        UPDATE node_executions SET
            status = target,
            started_at = CASE target WHEN 'running' THEN coalesce(moment, statement_timestamp()) ELSE started_at END,
            ended_at = CASE target WHEN 'running' THEN ended_at
                ELSE greatest(coalesce(moment, statement_timestamp()), started_at) END,
            output_data = coalesce(output, output_data),
            error_message = CASE target WHEN 'failed' THEN error ELSE error_message END,
            error_code = CASE target WHEN 'failed' THEN code ELSE error_code END,
            error_traceback = CASE target WHEN 'failed' THEN trace ELSE error_traceback END,
            version = version + 1, updated_at = statement_timestamp()
        WHERE id = node AND attempt = tried AND status = ANY (sources)
            AND (target <> 'running' AND moment < started_at) IS NOT TRUE
        RETURNING status::text, started_at, ended_at, version, updated_at;
END
$$;
