-- The view of activity.sql, with the notes on runs: each version of one is an entry, and its text the reason.
CREATE OR REPLACE VIEW activity AS
SELECT
    id, happened_at, through, user_id, username, token_id, token_name, reason, request_id,
    'execution'::varchar AS kind, act, workflow_execution_id AS run_id, node_execution_id AS node_id,
    NULL::uuid AS subject_id, NULL::text AS subject_name, from_status, to_status
FROM execution_history
UNION ALL
SELECT
    id, happened_at, through, user_id, username, token_id, token_name, reason, request_id,
    'deletion'::varchar, 'delete'::varchar, workflow_execution_id, NULL::uuid,
    workflow_id, workflow_name, status, NULL::varchar
FROM execution_deletions
UNION ALL
SELECT
    id, happened_at, through, user_id, username, token_id, token_name, reason, request_id,
    kind, act, NULL::uuid, NULL::uuid, subject_id, subject_name, NULL::varchar, NULL::varchar
FROM definition_changes
UNION ALL
SELECT
    id, happened_at, through, user_id, username, token_id, token_name, reason, request_id,
    'bulk_action'::varchar, verb, NULL::uuid, NULL::uuid, id, NULL::text, NULL::varchar, NULL::varchar
FROM bulk_actions
UNION ALL
SELECT
    id, happened_at, through, user_id, username, token_id, token_name, reason, request_id,
    'note'::varchar, act, workflow_execution_id, NULL::uuid, NULL::uuid, NULL::text, NULL::varchar, NULL::varchar
FROM execution_notes;
