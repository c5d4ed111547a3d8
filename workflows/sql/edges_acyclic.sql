-- A workflow stays acyclic: a statement that adds or changes edges fails if they form a cycle. The row lock on the
-- workflow serialises transactions that would create a cycle together.
CREATE FUNCTION edges_acyclic() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    culprit uuid;
BEGIN
    PERFORM 1 FROM workflows WHERE id IN (SELECT workflow_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    WITH RECURSIVE path(start, node) AS (
        SELECT source_node_id, target_node_id FROM changed
        UNION
        SELECT path.start, edges.target_node_id FROM path JOIN edges ON edges.source_node_id = path.node
    )
    SELECT start INTO culprit FROM path WHERE path.start = path.node LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'The edges close a circle through node %. Remove one of them.', culprit
            USING ERRCODE = 'check_violation', CONSTRAINT = 'edges_acyclic', TABLE = 'edges';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER edges_acyclic_insert AFTER INSERT ON edges
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION edges_acyclic();
CREATE TRIGGER edges_acyclic_update AFTER UPDATE ON edges
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION edges_acyclic();
