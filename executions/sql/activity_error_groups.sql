-- The view of activity_notes.sql, with the history of groups of errors, marks that keep a run and their release, and the
-- stop of a bulk action. A change of a group is named by what it changed. No part has a WHERE: PostgreSQL would sort all
-- of its rows, where it merges the others from their indexes.
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
FROM execution_notes
UNION ALL
SELECT
    id, happened_at, through, user_id, username, token_id, token_name, reason, request_id,
    'error_group'::varchar,
    CASE
        WHEN act <> 'change' THEN act
        WHEN fields -> 'state' ->> 1 = 'acknowledged' THEN 'acknowledge'
        WHEN fields -> 'state' ->> 1 = 'resolved' THEN 'resolve'
        WHEN fields -> 'state' ->> 1 = 'open' THEN 'reopen'
        WHEN fields ? 'state' OR fields ? 'muted_until' THEN 'mute'
        WHEN fields ? 'assignee' THEN 'assign'
        ELSE act
    END::varchar,
    NULL::uuid, NULL::uuid, group_id, NULL::text, NULL::varchar, NULL::varchar
FROM error_group_changes
UNION ALL
SELECT
    id, happened_at, through, user_id, username, token_id, token_name, reason, request_id,
    kind, act, workflow_execution_id, NULL::uuid, bulk_action_id, NULL::text, NULL::varchar, NULL::varchar
FROM recorded_acts;
