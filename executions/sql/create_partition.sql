-- Made beside its parent and attached afterwards: ATTACH lets the parent's readers and writers go on, where
-- CREATE TABLE ... PARTITION OF would wait for all of them and keep new ones out meanwhile.
CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}');
