"""Statistics of partitioned tables for the planner: autovacuum analyzes partitions, and never the table above them."""

from django.db import connection

from .task import Progress, Result

PARTITIONED = """
SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'p' AND nspname = current_schema() ORDER BY relname
"""


def plan() -> Result:
    return Result(rows=len(_partitioned_tables()))


def apply(progress: Progress) -> Result:
    tables = _partitioned_tables()
    for number, table in enumerate(tables):
        progress(number, len(tables))
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {table}")
    return Result(rows=len(tables))


def _partitioned_tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONED)
        return [table for (table,) in cursor.fetchall()]
