-- A trigger stores the graph of the workflow with every new run, whatever client inserts it.
CREATE FUNCTION remember_graph() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.graph_id := graph_of(NEW.workflow_id);
    RETURN NEW;
END
$$;
CREATE TRIGGER remember_graph BEFORE INSERT ON workflow_executions
    FOR EACH ROW WHEN (NEW.graph_id IS NULL) EXECUTE FUNCTION remember_graph();
