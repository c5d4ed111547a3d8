-- Create the table first and attach it afterwards: ATTACH does not block readers and writers of log lines, as CREATE
-- TABLE ... PARTITION OF would. It also copies the foreign keys, and therefore waits for transactions that have written
-- a run or a node execution. The lock on the parent comes first: where a DETACH or ANALYZE holds it, nobody else waits.
LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE;
LOCK TABLE workflow_executions, node_executions IN SHARE ROW EXCLUSIVE MODE;
CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}');
