-- The rows that the access to a stream depends on, each with its state as one text. Deleted rows are missing. access_changes.py
-- replaces the names in braces by those of the user model's tables.
SELECT 'user', {user_pk}::text, md5(concat_ws('|', {user_table}::text{permissions}))
    FROM {user_table} WHERE {user_pk} = ANY(%(user)s::{user_type}[])
UNION ALL
SELECT 'token', id::text, md5(concat_ws('|', revoked_at, expires_at > clock_timestamp(), scopes, bound_to))
    FROM tokens WHERE id = ANY(%(token)s::uuid[])
UNION ALL
SELECT 'session', session_key, (expire_date > clock_timestamp())::text
    FROM django_session WHERE session_key = ANY(%(session)s)
UNION ALL
SELECT 'run', run.id::text, md5(concat_ws('|', workflow.id, workflow.owner_id))
    FROM workflow_executions run JOIN workflows workflow ON workflow.id = run.workflow_id
    WHERE run.id = ANY(%(run)s::uuid[])
