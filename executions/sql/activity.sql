-- What people and programs did, whatever they did it to: transitions of runs and nodes, deletions of runs, changes of
-- definitions and tokens, bulk actions. Each part is a plain SELECT of one table, with the types of the others: the
-- planner then merges their indexes on the id, which is ordered by time, and pushes filters into each.
CREATE VIEW activity AS
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
FROM bulk_actions;
