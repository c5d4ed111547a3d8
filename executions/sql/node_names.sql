-- A node execution stores the name of its node in the graph of the run, whatever client inserts it, so that renaming a
-- node later does not change old runs. A node that was added to the run later has its name of that time.
--
-- In the current graph the names are those of the node rows, so only older graphs are read.
CREATE FUNCTION name_of_node(run uuid, node uuid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN graphs.is_current THEN nodes.name ELSE coalesce((
        SELECT each ->> 'name' FROM jsonb_array_elements(graphs.nodes) AS each WHERE each ->> 'id' = nodes.id::text
    ), nodes.name) END
    FROM nodes
    LEFT JOIN workflow_executions ON workflow_executions.id = run
    LEFT JOIN graphs ON graphs.id = workflow_executions.graph_id
    WHERE nodes.id = node
$$;

-- A value in the statement is ignored. Without a node, the foreign key refuses the row.
CREATE FUNCTION node_execution_named() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.node_id = OLD.node_id THEN
        NEW.node_name := OLD.node_name;
    ELSE
        NEW.node_name := coalesce(name_of_node(NEW.workflow_execution_id, NEW.node_id), '');
    END IF;
    RETURN NEW;
END
$$;

-- Updates keep the name (0019_node_names.py) once those of existing rows are set.
CREATE TRIGGER node_execution_named BEFORE INSERT ON node_executions
    FOR EACH ROW EXECUTE FUNCTION node_execution_named();

-- A role that may write node executions may lack the right to read graphs, so this runs as its owner.
DO $do$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION node_execution_named() SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp',
        current_schema()
    );
END
$do$;
REVOKE ALL ON FUNCTION node_execution_named(), name_of_node(uuid, uuid) FROM PUBLIC;
