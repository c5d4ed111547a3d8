-- As before, but in PL/pgSQL, which plans the statement once in a session: an SQL function is planned for each row, which
-- took most of the time of a new node execution.
CREATE OR REPLACE FUNCTION name_of_node(run uuid, node uuid) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT CASE WHEN graphs.is_current THEN nodes.name ELSE coalesce((
            SELECT each ->> 'name' FROM jsonb_array_elements(graphs.nodes) AS each WHERE each ->> 'id' = nodes.id::text
        ), nodes.name) END
        FROM nodes
        LEFT JOIN workflow_executions ON workflow_executions.id = run
        LEFT JOIN graphs ON graphs.id = workflow_executions.graph_id
        WHERE nodes.id = node
    );
END
$$;
