"""Query plans in tests: which index answers a query."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from executions.tests.database.test_schema import rows


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
