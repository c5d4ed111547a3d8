,
    (SELECT string_agg(own.permission_id::text, ',' ORDER BY own.permission_id)
        FROM {own_table} own WHERE own.{own_user} = {user_table}.{user_pk}),
    (SELECT string_agg(concat(member.group_id, ':', permission_id), ',' ORDER BY member.group_id, permission_id)
        FROM {member_table} member JOIN auth_group_permissions USING (group_id)
        WHERE member.{member_user} = {user_table}.{user_pk})
