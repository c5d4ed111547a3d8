"""Lookups of one row by its keys, with rows that it refers to, by a statement that Django compiles once. To compile one
takes 0.5 to 1 ms of processor time, to read the row 0.2 (docs/decisions.md)."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models import Model, QuerySet

from ledgerkit.db import plain_rows

ITSELF = ""  # the path of the row


class Part(NamedTuple):
    """The columns of one model in a row of the result."""

    parent: str
    name: str  # of the relation
    path: str
    model: type[Model]
    fields: list[str]
    columns: slice
    key: int  # the place of the primary key among them
    converters: list[tuple[int, Callable[..., object]]]


class Compiled(NamedTuple):
    """A statement, its parameters, and what its result consists of. `width` is the number of columns."""

    statement: str
    parameters: Sequence[Any]
    parts: list[Part]
    width: int


class RowLookup[M: Model]:
    """Lookup of the first row of `rows(*keys)`. It is compiled with `examples` as keys, in place of those of a call.

    `fields` are those to read, of the row and of rows that it refers to, by their paths as in select_related().
    `annotations` of the rows become attributes, as in Django.
    """

    def __init__(
        self,
        rows: Callable[..., QuerySet[M]],
        *examples: object,
        fields: Mapping[str, Collection[str]],
        annotations: Sequence[str] = (),
    ) -> None:
        self.rows, self.examples, self.fields, self.annotations = rows, examples, fields, annotations

    def first(self, *keys: object, beside: "RowByKey[Any] | None" = None) -> M | None:
        """Return the row. If there is one, the row `beside` it is read too, by the same statement."""
        statement, using = self.compiled.statement, router.db_for_read(self.compiled.parts[0].model)
        lookups: list[tuple[RowLookup[Any], Sequence[Any]]] = [(self, keys)]
        if beside:
            statement = _join(statement, beside.lookup.compiled.statement)
            lookups.append((beside.lookup, beside.keys))
        parameters = []
        for lookup, of_lookup in lookups:
            given = dict(zip(lookup.examples, of_lookup, strict=True))
            parameters += [given.get(value, value) for value in lookup.compiled.parameters]
        with connections[using].cursor() as cursor:
            cursor.execute(statement, parameters)
            columns = cursor.fetchone() or ()
        if beside and columns:
            beside.row = beside.lookup._model(columns[self.compiled.width :], using)
        return self._model(columns[: self.compiled.width], using)

    def _model(self, columns: Sequence[Any], using: str) -> M | None:
        """Return the row with those that it refers to, or None if an outer join found none."""
        if not columns or columns[self.compiled.parts[0].key] is None:
            return None
        found: dict[str, Any] = {}
        for part in self.compiled.parts:
            values = [*columns[part.columns]]
            for place, convert in part.converters:
                values[place] = convert(values[place], None, connections[using])
            is_missing = values[part.key] is None  # in an outer join
            found[part.path] = None if is_missing else part.model.from_db(using, part.fields, values)
            if part.path:
                setattr(found[part.parent], part.name, found[part.path])
        itself: M = found[ITSELF]
        vars(itself).update(zip(self.annotations, columns[len(columns) - len(self.annotations) :], strict=True))
        return itself

    @cached_property
    def compiled(self) -> Compiled:
        rows = self.rows(*self.examples)
        parts = [*self._parts(rows.model)]
        columns = [f"{part.path}__{name}" if part.path else name for part in parts for name in part.fields]
        statement, parameters = plain_rows.statement_of(rows.values_list(*columns, *self.annotations))
        return Compiled(statement, parameters, parts, len(columns) + len(self.annotations))

    def _parts(self, model: type[Model]) -> Iterator[Part]:
        start, models = 0, {ITSELF: model}
        for path, wanted in self.fields.items():
            parent, _, name = path.rpartition("__")
            if path:
                related: Any = models[parent]._meta.get_field(name).related_model
                models[path] = related
            fields = [field for field in models[path]._meta.concrete_fields if field.attname in wanted]
            names, columns = [field.attname for field in fields], slice(start, start := start + len(fields))
            converters = [(n, f.from_db_value) for n, f in enumerate(fields) if hasattr(f, "from_db_value")]
            key = names.index(models[path]._meta.pk.attname)
            yield Part(parent, name, path, models[path], names, columns, key, converters)


@dataclass
class RowByKey[M: Model]:
    """The row of a lookup that has these keys. It is read at first access, unless it was read beside another."""

    lookup: RowLookup[M]
    keys: Sequence[Any]

    @cached_property
    def row(self) -> M | None:
        return self.lookup.first(*self.keys)


@cache
def _join(first: str, second: str) -> str:
    """Return the statement that reads the one row of the first, and beside it that of the second, if there is one."""
    return f"SELECT * FROM ({first}) AS first LEFT JOIN ({second}) AS second ON true"  # noqa: S608  # compiled by Django


def field_names(model: type[Model], without: Collection[str] = ()) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if field.attname not in without]
