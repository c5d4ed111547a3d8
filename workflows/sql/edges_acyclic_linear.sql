-- A workflow stays acyclic: a statement that adds or changes edges fails if they form a cycle. The row lock on the
-- workflow serialises transactions that would create a cycle together.
--
-- The work is linear in the edges of the workflow: nodes without incoming edges are removed until none is left, or only
-- nodes behind a cycle. Nodes are numbered and the graph is held in arrays, because the planner has no statistics of
-- new rows and would join them by nested loops, in quadratic time.
CREATE FUNCTION node_on_circle(wanted uuid) RETURNS uuid LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
    ids uuid[];
    before int[];   -- number of incoming edges of each node
    after int[];    -- number of outgoing edges
    skipped int[];  -- index of the first target of each node
    targets int[];
    queue int[];
    head int := 1;
    tail int := 0;
    node int;
    led_to int;
    last uuid;
BEGIN
    WITH its AS MATERIALIZED (
        SELECT source_node_id AS source, target_node_id AS target FROM edges WHERE workflow_id = wanted
    ), counted AS (
        SELECT id, sum(ins)::int AS ins, sum(outs)::int AS outs
        FROM (SELECT source AS id, 0 AS ins, 1 AS outs FROM its UNION ALL SELECT target, 1, 0 FROM its) AS ends
        GROUP BY id
    ), numbered AS MATERIALIZED (
        SELECT id, ins, outs, row_number() OVER (ORDER BY id)::int AS number,
            (sum(outs) OVER (ORDER BY id) - outs)::int AS earlier
        FROM counted
    )
    SELECT array_agg(id ORDER BY number), array_agg(ins ORDER BY number), array_agg(outs ORDER BY number),
        array_agg(earlier ORDER BY number), array_fill(0, ARRAY[count(*)::int]),
        (SELECT array_agg(end_of.number ORDER BY its.source) FROM its JOIN numbered AS end_of ON end_of.id = its.target)
        INTO ids, before, after, skipped, queue, targets FROM numbered;
    IF ids IS NULL THEN
        RETURN NULL;
    END IF;
    FOR node IN 1 .. cardinality(ids) LOOP
        IF before[node] = 0 THEN
            tail := tail + 1;
            queue[tail] := node;
        END IF;
    END LOOP;
    WHILE head <= tail LOOP
        node := queue[head];
        head := head + 1;
        FOR place IN skipped[node] + 1 .. skipped[node] + after[node] LOOP
            led_to := targets[place];
            before[led_to] := before[led_to] - 1;
            IF before[led_to] = 0 THEN
                tail := tail + 1;
                queue[tail] := led_to;
            END IF;
        END LOOP;
    END LOOP;
    IF tail = cardinality(ids) THEN
        RETURN NULL;
    END IF;
    -- Each remaining node has a remaining predecessor, so that many steps back end on a cycle.
    FOR node IN 1 .. cardinality(ids) LOOP
        IF before[node] > 0 THEN
            last := ids[node];
            EXIT;
        END IF;
    END LOOP;
    FOR step IN 1 .. cardinality(ids) - tail LOOP
        SELECT source_node_id INTO last FROM edges
            WHERE target_node_id = last AND workflow_id = wanted AND before[array_position(ids, source_node_id)] > 0
            LIMIT 1;
    END LOOP;
    RETURN last;
END
$$;

CREATE OR REPLACE FUNCTION edges_acyclic() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    its_workflow uuid;
    culprit uuid;
BEGIN
    PERFORM 1 FROM workflows WHERE id IN (SELECT workflow_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    FOR its_workflow IN SELECT DISTINCT workflow_id FROM changed LOOP
        culprit := node_on_circle(its_workflow);
        IF culprit IS NOT NULL THEN
            RAISE EXCEPTION 'The edges close a circle through node %. Remove one of them.', culprit
                USING ERRCODE = 'check_violation', CONSTRAINT = 'edges_acyclic', TABLE = 'edges';
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- The same as before, also without nested loops.
CREATE OR REPLACE FUNCTION edge_in_graph() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
BEGIN
    PERFORM 1 FROM workflows WHERE id IN (SELECT workflow_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    PERFORM 1 FROM (SELECT source_node_id AS id FROM changed UNION SELECT target_node_id FROM changed) AS ends
        JOIN nodes USING (id) WHERE retired_at IS NOT NULL;
    IF FOUND THEN
        RAISE EXCEPTION 'A retired node has no edges. Choose a node of the graph, or bring this one back first.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'edge_in_graph', TABLE = 'edges';
    END IF;
    RETURN NULL;
END
$$;
