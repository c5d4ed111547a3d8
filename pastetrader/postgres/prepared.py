"""A question that every call asks, compiled once. Django makes a query anew each time and compiles it anew, and is
busy with that for longer than the database with the answer."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import QuerySet

MARK = UUID(int=0)


class Prepared:
    """`question` takes the one value that differs from call to call, and gives a `values_list()`. Rows are as the
    driver gives them: for columns whose values Django takes as they are, which those of JSON are not."""

    def __init__(self, question: Callable[[Any], QuerySet[Any, Any]], mark: Any = MARK) -> None:
        """`mark` is of the value's type, and nowhere else in the question."""
        self.question, self.mark = question, mark
        self._compiled: dict[str, tuple[str, tuple[Any, ...]]] = {}

    def __call__(self, value: Any, using: str | None = None) -> list[tuple[Any, ...]]:
        using = using or DEFAULT_DB_ALIAS
        if using not in self._compiled:
            self._compiled[using] = self.question(self.mark).query.get_compiler(using).as_sql()
        sql, params = self._compiled[using]
        with connections[using].cursor() as cursor:
            cursor.execute(sql, [value if param == self.mark else param for param in params])
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
