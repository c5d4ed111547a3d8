"""Queries that Django compiles once. To compile a row by its key takes 0.5 to 1 ms of processor time, to read it 0.2
(docs/decisions.md)."""

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import Any, cast

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Field, Model, QuerySet, Value
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler


class Slot(Value):
    """The place of a value in a compiled query, such as `filter(pk=Slot("id", UUIDField()))`."""

    def __init__(self, name: str, output_field: "Field[Any, Any]") -> None:
        super().__init__(name, output_field)

    def as_sql(self, compiler: object, connection: object) -> tuple[str, list[object]]:  # type: ignore[override]  # a Slot is no value yet
        return "%s", [self]


class Compiled[M: Model]:
    """The queryset that `build` returns, whose conditions contain Slots."""

    def __init__(self, build: Callable[[], QuerySet[M]]) -> None:
        self.build = build

    def first(self, **values: object) -> M | None:
        """Return the row with these values in the Slots, None if there is none."""
        rows = self._rows.all()
        rows.query.values_of_slots = values  # type: ignore[attr-defined]  # of CompiledQuery
        return next(iter(rows), None)

    @cached_property
    def _rows(self) -> QuerySet[M]:
        rows = self.build()
        rows.query = query = cast("CompiledQuery", rows.query.chain(CompiledQuery))
        compiler = query.get_compiler(DEFAULT_DB_ALIAS)
        query.statement = compiler.as_sql()
        query.converters = compiler.get_converters([column for column, *_sql in compiler.select])
        query.compiled = compiler
        return rows


class CompiledQuery(Query):
    """A query that is executed by a copy of the compiler that has compiled it before."""

    compiled: SQLCompiler | None = None
    statement: tuple[str, tuple[object, ...]]
    converters: dict[int, object]  # of the columns
    values_of_slots: dict[str, object]

    def get_compiler(self, using: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if self.compiled is None:
            return super().get_compiler(using, *args, **kwargs)
        compiler: Any = copy(self.compiled)
        compiler.connection = connections[using or DEFAULT_DB_ALIAS]
        sql, parameters = self.statement
        values = [self.values_of_slots[each.value] if isinstance(each, Slot) else each for each in parameters]
        compiler.as_sql = lambda: (sql, values)
        compiler.get_converters = lambda _columns: self.converters
        return compiler
