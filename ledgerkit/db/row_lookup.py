"""Lookups of one row by its keys, with rows that it refers to, by a statement that Django compiles once. To compile one
takes 0.5 to 1 ms of processor time, to read the row 0.2 (docs/decisions.md)."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
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
    converters: list[tuple[int, Callable[..., object]]]


class RowLookup[M: Model]:
    """The first of `rows(*keys)`. `examples` are keys, each of which stands for others of its kind.

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

    def first(self, *keys: Any) -> M | None:
        statement, parameters, parts = self._compiled_query
        given = dict(zip(self.examples, keys, strict=True))
        using = router.db_for_read(parts[0].model)
        with connections[using].cursor() as cursor:
            cursor.execute(statement, [given.get(value, value) for value in parameters])
            row = cursor.fetchone()
        return None if row is None else self._model(row, parts, using)

    def _model(self, row: Sequence[Any], parts: list[Part], using: str) -> M:
        found: dict[str, Any] = {}
        for part in parts:
            values = [*row[part.columns]]
            for place, convert in part.converters:
                values[place] = convert(values[place], None, connections[using])
            is_missing = values.count(None) == len(values)  # in an outer join
            found[part.path] = None if is_missing else part.model.from_db(using, part.fields, values)
            if part.path:
                setattr(found[part.parent], part.name, found[part.path])
        itself: M = found[ITSELF]
        vars(itself).update(zip(self.annotations, row[len(row) - len(self.annotations) :], strict=True))
        return itself

    @cached_property
    def _compiled_query(self) -> tuple[str, Sequence[object], list[Part]]:
        rows = self.rows(*self.examples)
        parts = [*self._parts(rows.model)]
        columns = [f"{part.path}__{name}" if part.path else name for part in parts for name in part.fields]
        statement, parameters = plain_rows.statement_of(rows.values_list(*columns, *self.annotations))
        return statement, parameters, parts

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
            yield Part(parent, name, path, models[path], names, columns, converters)


def field_names(model: type[Model], without: Collection[str] = ()) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if field.attname not in without]
