-- Made beside its parent and attached afterwards: ATTACH lets the lines' readers and writers go on, where
-- CREATE TABLE ... PARTITION OF would wait for all of them. It does take the foreign keys along, and for that it waits
-- for those who have written a run or a node execution and not yet committed: in the order in which every verb locks.
LOCK TABLE workflow_executions, node_executions IN SHARE ROW EXCLUSIVE MODE;
CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}');
