"""Several statements of the ORM sent as one: an UPDATE, and what is written beside it."""

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler, SQLUpdateCompiler


class UpdateBeside(SQLUpdateCompiler):
    """`WITH beside_0 AS (INSERT ...), beside_1 AS (UPDATE ...) UPDATE ...`. All of them see the ledger as it was before
    any: none of them may change a row that another one changes. They are done also where the UPDATE matches nothing."""

    def __init__(self, query: Any, using: str, beside: Sequence[Query]) -> None:
        super().__init__(query, connections[using], using)
        self.beside = beside

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        sql, params = super().as_sql(*args, **kwargs)
        others = [part for query in self.beside for part in _parts(query.get_compiler(self.using))]
        if not others:
            return sql, params
        named = ", ".join(f"beside_{number} AS ({part})" for number, (part, _params) in enumerate(others))
        return f"WITH {named} {sql}", (*(param for _sql, of_part in others for param in of_part), *params)


def _parts(compiler: SQLCompiler) -> list[tuple[str, Any]]:
    """An INSERT is compiled to a list of statements: of one, where the database takes many rows in one."""
    compiled: Any = compiler.as_sql()
    return compiled if isinstance(compiled, list) else [compiled]
