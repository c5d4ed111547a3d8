-- A run refers to the graph that its workflow had when the run was created. A graph is stored with the first run that
-- needs it. A change of nodes or edges marks it as outdated; the next run stores the new graph, or finds the old one
-- again if the change is not visible in it.
--
-- The lock on the workflow prevents storing a graph while it is being changed.
CREATE FUNCTION graph_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM workflows WHERE id IN (SELECT workflow_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    UPDATE graphs SET is_current = false WHERE is_current AND workflow_id IN (SELECT workflow_id FROM changed);
    RETURN NULL;
END
$$;
CREATE TRIGGER graph_changed_insert AFTER INSERT ON nodes
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION graph_changed();
CREATE TRIGGER graph_changed_update_to AFTER UPDATE ON nodes
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION graph_changed();
CREATE TRIGGER graph_changed_update_from AFTER UPDATE ON nodes
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION graph_changed();
CREATE TRIGGER graph_changed_delete AFTER DELETE ON nodes
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION graph_changed();
CREATE TRIGGER graph_changed_insert AFTER INSERT ON edges
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION graph_changed();
CREATE TRIGGER graph_changed_update_to AFTER UPDATE ON edges
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION graph_changed();
CREATE TRIGGER graph_changed_update_from AFTER UPDATE ON edges
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION graph_changed();
CREATE TRIGGER graph_changed_delete AFTER DELETE ON edges
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION graph_changed();

-- Return the current graph of a workflow, stored if it is new. NULL if the workflow does not exist.
CREATE FUNCTION graph_of(wanted uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    stored uuid;
    its_nodes jsonb;
    its_edges jsonb;
BEGIN
    SELECT id INTO stored FROM graphs WHERE workflow_id = wanted AND is_current;
    IF stored IS NOT NULL THEN
        RETURN stored;
    END IF;
    PERFORM 1 FROM workflows WHERE id = wanted FOR SHARE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', id, 'name', name, 'node_type', node_type, 'position_x', position_x, 'position_y', position_y
        ) ORDER BY id), '[]')
        INTO its_nodes FROM nodes WHERE workflow_id = wanted AND retired_at IS NULL;
    SELECT coalesce(jsonb_agg(jsonb_build_object(
            'source_node', source_node_id, 'target_node', target_node_id, 'source_handle', source_handle,
            'target_handle', target_handle, 'condition', condition, 'priority', priority, 'label', label
        ) ORDER BY priority, id), '[]')
        INTO its_edges FROM edges WHERE workflow_id = wanted;
    UPDATE graphs SET is_current = true
        WHERE workflow_id = wanted AND nodes = its_nodes AND edges = its_edges
        RETURNING id INTO stored;
    IF stored IS NULL THEN
        -- Another run may store the same graph at this moment: the second one finds the first one's row.
        INSERT INTO graphs (workflow_id, nodes, edges, is_current) VALUES (wanted, its_nodes, its_edges, true)
            ON CONFLICT (workflow_id) WHERE is_current DO NOTHING;
        SELECT id INTO stored FROM graphs WHERE workflow_id = wanted AND is_current;
    END IF;
    RETURN stored;
END
$$;

-- A retired node is in no graph: its edges are deleted with it, and no edge can refer to it.
CREATE FUNCTION node_retired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM workflows WHERE id = NEW.workflow_id FOR NO KEY UPDATE;
    DELETE FROM edges WHERE NEW.id IN (source_node_id, target_node_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER node_retired AFTER UPDATE OF retired_at ON nodes
    FOR EACH ROW WHEN (OLD.retired_at IS NULL AND NEW.retired_at IS NOT NULL) EXECUTE FUNCTION node_retired();

CREATE FUNCTION edge_in_graph() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM workflows WHERE id IN (SELECT workflow_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    PERFORM 1 FROM changed JOIN nodes ON nodes.id IN (source_node_id, target_node_id) WHERE retired_at IS NOT NULL;
    IF FOUND THEN
        RAISE EXCEPTION 'A retired node has no edges. Choose a node of the graph, or bring this one back first.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'edge_in_graph', TABLE = 'edges';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER edge_in_graph_insert AFTER INSERT ON edges
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION edge_in_graph();
CREATE TRIGGER edge_in_graph_update AFTER UPDATE ON edges
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION edge_in_graph();
