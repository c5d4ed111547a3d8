"""Large ledgers for benchmarks: rows of a seeded ledger, copied inside the database, with all indexes built at the end.

`seed_ledger` writes 4,000 to 6,000 rows/s, copies are 20,000 to 40,000 rows/s. A copy has ids, correlation ids and
times of its own: those of the original, up to an hour earlier. Runs that have not ended are not copied. Each part
commits, so that an interrupted copy goes on.
"""

from django.db import connection, transaction

from benches.output import out
from executions import ingest
from executions.models import (
    ExecutionLog,
    HistoryEntry,
    NodeExecution,
    NodeExecutionAttempt,
    WorkflowExecution,
    WorkflowExecutionAttempt,
)
from ledgerkit.db.timeouts import no_limit

MODELS = (
    WorkflowExecution, WorkflowExecutionAttempt, NodeExecution, NodeExecutionAttempt, HistoryEntry, ExecutionLog,
)  # fmt: skip
TABLES = {model._meta.db_table: model for model in MODELS}
HOURS_IN_PART = 12

SET_UP = """
CREATE TABLE bench_later (place serial, statement text NOT NULL);
CREATE TABLE bench_done (part integer PRIMARY KEY);
"""
# `shift` in whole milliseconds, since an id holds no more.
SHIFTS = """
SELECT copy, milliseconds, milliseconds * interval '1 millisecond' AS shift
FROM (SELECT copy, floor(3600000 * ((copy * 0.6180339887) %% 1))::bigint AS milliseconds
    FROM generate_series(1, %s) AS copy) AS each
"""
# Parts of an id: its time in milliseconds, from which the shift is subtracted, its middle, and its end, which the
# number of the copy changes.
ID_PARTS = """
('x' || left(replace({id}::text, '-', ''), 12))::bit(48)::bigint AS {name}_time,
substr(replace({id}::text, '-', ''), 13, 12) AS {name}_middle,
('x' || right({id}::text, 8))::bit(32)::bigint AS {name}_end
"""
COPIED_ID = """
('0' || to_hex({name}_time - milliseconds) || {name}_middle || lpad(to_hex({name}_end # copies.copy), 8, '0'))::uuid
"""
IDS = ("id", "workflow_execution_id", "node_execution_id")
PARENT = "(t.context ->> 'parent_execution_id')::uuid"
OF_CONSTRAINTS = """
SELECT format('ALTER TABLE %%I DROP CONSTRAINT %%I CASCADE', conrelid::regclass, conname),
    format('ALTER TABLE %%I ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE conparentid = 0 AND (
    conrelid = ANY(%s::regclass[]) AND contype IN ('p', 'u', 'f') OR confrelid = ANY(%s::regclass[]) AND contype = 'f'
) ORDER BY contype = 'f' DESC, conname
"""
OF_INDEXES = """
SELECT format('DROP INDEX %%I', indexrelid::regclass),
    replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') || (
        SELECT coalesce(string_agg(format(
            '; ALTER INDEX %%I ALTER %%s SET STATISTICS %%s', indexrelid::regclass, attnum, attstattarget
        ), ''), '')
        FROM pg_attribute WHERE attrelid = indexrelid AND attstattarget > 0
    )
FROM pg_index
WHERE indrelid = ANY(%s::regclass[])
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))
"""


@no_limit()
def multiply(copies: int) -> None:
    """Add `copies` of each ended run of the ledger; go on with those of an interrupted call."""
    with connection.cursor() as cursor:
        cursor.execute("SET work_mem = '512MB'; SET maintenance_work_mem = '1GB'")
        cursor.execute("SELECT to_regclass('bench_later') IS NOT NULL")
        if cursor.fetchone() == (False,):
            set_up()
    parts = missing_parts()
    for number, part in enumerate(parts, start=1):
        copy_part(part, copies)
        out(f"copied part {number:,} of {len(parts):,}")
    build_indexes()
    set_autovacuum(on=True)
    ingest.vacuum(MODELS)


def is_interrupted() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('bench_later') IS NOT NULL")
        return bool(cursor.fetchone()[0])


@transaction.atomic
def set_up() -> None:
    """Keep the originals in tables of their own; note and remove constraints and indexes."""
    tables = list(TABLES)
    with connection.cursor() as cursor:
        cursor.execute(SET_UP)
        for table in tables:
            cursor.execute(_originals(table))
        cursor.execute(OF_CONSTRAINTS, [tables, tables])
        constraints = cursor.fetchall()
        cursor.execute(OF_INDEXES, [tables])
        indexes = cursor.fetchall()
        later = [each for _drop, each in [*reversed(constraints), *indexes]]
        cursor.executemany("INSERT INTO bench_later (statement) VALUES (%s)", [(each,) for each in later])
        for drop, _later in [*constraints, *indexes]:
            cursor.execute(drop)
    set_autovacuum(on=False)


def set_autovacuum(*, on: bool) -> None:
    """Spare the tables autovacuum, of whose work the next part would leave nothing."""
    with connection.cursor() as cursor:
        for model in MODELS:
            if model is not ExecutionLog:  # a partitioned table has no such setting
                cursor.execute(f"ALTER TABLE {model._meta.db_table} SET (autovacuum_enabled = {on})")


def _originals(table: str) -> str:
    """Copy the table, with the part that each row belongs to, by the creation of its run."""
    run = "workflow_execution_id"
    joined = {
        "workflow_executions": "workflow_executions AS run ON run.id = t.id",
        "node_execution_attempts": (
            "node_executions AS node ON node.id = t.node_execution_id"
            " JOIN workflow_executions AS run ON run.id = node.workflow_execution_id"
        ),
    }.get(table, f"workflow_executions AS run ON run.id = t.{run}")  # fmt: skip
    ids = {name: f"t.{name}" for name in _columns_of(table) if name in IDS}
    if table == "workflow_executions":
        ids["parent"] = PARENT
    parts = "".join(f", {ID_PARTS.format(name=name, id=id)}" for name, id in ids.items())
    return (
        f"CREATE TABLE bench_{table} AS SELECT t.*, floor(extract(epoch FROM run.created_at) / 3600 / {HOURS_IN_PART})"  # noqa: S608  # names of our tables
        f"::integer AS part{parts} FROM {table} AS t JOIN {joined} WHERE run.ended_at IS NOT NULL"
    )


def missing_parts() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT part FROM bench_workflow_executions EXCEPT SELECT part FROM bench_done ORDER BY 1"
        )
        return [part for (part,) in cursor.fetchall()]


@transaction.atomic
def copy_part(part: int, copies: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers
        for table in TABLES:
            cursor.execute(_copies(table), [copies, part])
        cursor.execute("INSERT INTO bench_done VALUES (%s)", [part])


def _columns_of(table: str) -> dict[str, str]:
    """Return the type of each column."""
    return {str(field.column): field.get_internal_type() for field in TABLES[table]._meta.concrete_fields}


def _value(table: str, column: str, kind: str) -> str:
    """Return the expression of a copy's value."""
    if column in IDS:
        return COPIED_ID.format(name=column)
    if kind == "DateTimeField":
        return f"t.{column} - copies.shift"
    if (table, column) == ("workflow_executions", "metadata"):
        correlation = "substr(md5(t.id::text || copies.copy), 1, 12)"
        return f"t.metadata || jsonb_build_object('correlation_id', {correlation})"
    if (table, column) == ("workflow_executions", "context"):
        changed = f"t.context || jsonb_build_object('parent_execution_id', {COPIED_ID.format(name='parent')})"
        return f"CASE WHEN parent_time > 0 THEN {changed} ELSE t.context END"
    return f't."{column}"'


def _copies(table: str) -> str:
    columns = _columns_of(table)
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(f'{_value(table, name, kind)} AS "{name}"' for name, kind in columns.items())
    return (
        f"INSERT INTO {table} ({names}) SELECT {values} FROM bench_{table} AS t CROSS JOIN ({SHIFTS}) AS copies"  # noqa: S608  # names of our tables
        " WHERE t.part = %s ORDER BY id"
    )


def build_indexes() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT place, statement FROM bench_later ORDER BY place")
        for place, statement in cursor.fetchall():
            with transaction.atomic():
                cursor.execute(statement)
                cursor.execute("DELETE FROM bench_later WHERE place = %s", [place])
            out(statement[:110])
        originals = ", ".join(f"bench_{table}" for table in TABLES)
        cursor.execute(f"DROP TABLE bench_later, bench_done, {originals}")
