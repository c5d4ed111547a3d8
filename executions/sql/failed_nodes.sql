-- `failed_nodes` of a run is counted by the statement that ends it. That statement does not see a node that fails in a
-- concurrent transaction, so the count is checked again when the transaction commits: by then the nodes of the run are
-- settled, and none is running.
CREATE FUNCTION count_failed_nodes(run uuid) RETURNS void LANGUAGE sql AS $$
    UPDATE workflow_executions SET failed_nodes = counted.number
    FROM (
        SELECT count(*) AS number FROM node_executions WHERE workflow_execution_id = run AND status = 'failed'
    ) AS counted
    WHERE id = run AND status IN ('completed', 'failed', 'cancelled', 'skipped') AND failed_nodes <> counted.number
$$;

CREATE FUNCTION failed_nodes_of_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_failed_nodes(NEW.id);
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER failed_nodes_of_run AFTER UPDATE OF status ON workflow_executions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status AND NEW.status IN ('completed', 'failed', 'cancelled', 'skipped'))
    EXECUTE FUNCTION failed_nodes_of_run();

-- No verb changes a node of a run that has ended, but imports and plain SQL do.
CREATE FUNCTION failed_nodes_of_node() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_failed_nodes(coalesce(NEW.workflow_execution_id, OLD.workflow_execution_id));
    RETURN NULL;
END
$$;
CREATE TRIGGER failed_nodes_insert AFTER INSERT ON node_executions
    FOR EACH ROW WHEN (NEW.status = 'failed') EXECUTE FUNCTION failed_nodes_of_node();
CREATE TRIGGER failed_nodes_update AFTER UPDATE OF status ON node_executions
    FOR EACH ROW WHEN (OLD.status <> NEW.status AND 'failed' IN (OLD.status, NEW.status))
    EXECUTE FUNCTION failed_nodes_of_node();
CREATE TRIGGER failed_nodes_delete AFTER DELETE ON node_executions
    FOR EACH ROW WHEN (OLD.status = 'failed') EXECUTE FUNCTION failed_nodes_of_node();

-- A role that may write node executions may lack the right to write runs, so these run as their owner.
DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION count_failed_nodes(uuid) SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp',
        current_schema()
    );
END
$$;
