"""Query plans in tests: which index answers a query."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from executions.tests.database.test_schema import rows
from ledgerkit.db.bounded_rows import CompiledRows


@pytest.fixture
def only(truncated: None, db: None) -> Iterator[Any]:
    """Drop the table's other indexes: which of several suitable ones is used is up to the planner."""

    def drop(table: str, index: str) -> None:
        with connection.cursor() as cursor:
            for (other,) in rows("SELECT indexname FROM pg_indexes WHERE tablename = %s", table):
                if other != index and other.startswith("idx_"):
                    cursor.execute(f"DROP INDEX {other}")
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")

    return drop


def plan(question: Any) -> str:
    return " ".join(question.explain().split())


def uses(plan: str, index: str) -> bool:
    return f"using {index} on" in plan or f"Bitmap Index Scan on {index} " in plan


def kept_plan(rows: CompiledRows) -> str:
    """Return the plan that PostgreSQL keeps for a prepared statement, which is made without its values."""
    text, values = rows.statement
    numbered = text
    for place in range(1, len(values) + 1):
        numbered = numbered.replace("%s", f"${place}", 1)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE kept AS {numbered}")
        places = ", ".join(["%s"] * len(values))
        literals = connection.ops.compose_sql(f"EXPLAIN EXECUTE kept ({places})", values)
        cursor.execute(literals)
        found = " ".join(line.strip() for (line,) in cursor.fetchall())
        cursor.execute("DEALLOCATE kept")
    return found
