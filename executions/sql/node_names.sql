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

-- Existing rows, in one pass that reads every graph once.
CREATE TEMPORARY TABLE names_in_graphs ON COMMIT DROP AS
    SELECT graphs.id AS graph_id, (each ->> 'id')::uuid AS node_id, each ->> 'name' AS name
    FROM graphs, jsonb_array_elements(graphs.nodes) AS each;
UPDATE node_executions SET node_name = named.name
FROM (
    SELECT row.id, coalesce(names_in_graphs.name, nodes.name) AS name
    FROM node_executions AS row
    JOIN nodes ON nodes.id = row.node_id
    JOIN workflow_executions AS run ON run.id = row.workflow_execution_id
    LEFT JOIN names_in_graphs ON names_in_graphs.graph_id = run.graph_id AND names_in_graphs.node_id = row.node_id
) AS named
WHERE node_executions.id = named.id;
DROP TABLE names_in_graphs;

CREATE TRIGGER node_execution_named BEFORE INSERT OR UPDATE OF node_id, node_name ON node_executions
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
