-- What the right to follow a stream rests on: the state of each row as one text. A row that is gone is not among them.
SELECT 'user', id::text, md5(concat_ws('|', is_active, is_staff, is_superuser, password,
    (SELECT string_agg(own.permission_id::text, ',' ORDER BY own.permission_id)
        FROM auth_user_user_permissions own WHERE own.user_id = auth_user.id),
    (SELECT string_agg(concat(member.group_id, ':', permission_id), ',' ORDER BY member.group_id, permission_id)
        FROM auth_user_groups member JOIN auth_group_permissions USING (group_id) WHERE member.user_id = auth_user.id)))
    FROM auth_user WHERE id = ANY(%(user)s::bigint[])
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
