"""Read rows up to a total size in bytes.

The first query returns the size of the texts and documents of each row, and those values that are small. A second query
reads the large values, only for the rows within the limit: a page of four megabytes never reads a gigabyte.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate, compress
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db.models import (
    DateTimeField,
    Func,
    IntegerField,
    JSONField,
    Model,
    QuerySet,
    TextField,
    UUIDField,
)

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db import keyset, plain_rows
from ledgerkit.db.models import Column
from ledgerkit.db.plain_rows import Columns, Table
from ledgerkit.page_sizes import MAX_PAGE_SIZE

type Rows = QuerySet[Model, Columns]
type Value = UUID | str

LEAST = 1_024  # bytes: a value of at most this size is always read by the first query
# They stand for the value, and for those of a key, in a statement that is compiled once.
EXAMPLE = UUID(int=0)
VALUES: Mapping[type, Value] = {UUID: EXAMPLE, str: "(a text)"}
EXAMPLES: Mapping[type, object] = {
    UUIDField: UUID(int=1), DateTimeField: datetime(1, 1, 2, tzinfo=UTC), IntegerField: 2**31 - 2,
}  # fmt: skip
# As a parameter it lets PostgreSQL expect that a tenth of the rows are read: so it reads them in the order of an index,
# and not all of them to sort them, though other runs have few. Django writes the number itself.
NUMBER = " LIMIT %s"
SIZE, SMALL = "size_of_large_fields", "_if_small"  # an annotation, and the end of the names of others


# One Func each: built of Case, When, Cast and lookups, they took a sixth of the time of a list.
class Size(Func):
    """The size of texts and documents together, in bytes."""

    template = "octet_length(concat(%(expressions)s))"
    output_field = IntegerField()


class IfSmall(Func):
    """The value itself if it has at most `most` bytes, else NULL."""

    template = "CASE WHEN octet_length((%(expressions)s)::text) <= %(most)d THEN %(expressions)s END"


class CompiledRows(NamedTuple):
    model: type[Model]
    statement: plain_rows.Statement


class RowsOf(NamedTuple):
    """Rows of a model with one value, such as the nodes of a run, or those after a key. `rows` returns their
    columns() query, which Django compiles once for each order: of a request for ten nodes this takes a fifth of the
    time. With `keeps_plan` PostgreSQL plans it once, too, without the values: there must be an index in this order."""

    model: type[Model]
    rows: Callable[[Any], Rows]
    value: Value
    keeps_plan: bool = False
    key: keyset.Key = ()

    def after(self, key: keyset.Key) -> Self:
        """Return the rows after this key in the order of first_of()."""
        return self._replace(key=key)

    def first_of(self, order: Sequence[str], number: int) -> CompiledRows:
        example = VALUES[type(self.value)]
        statement, parameters = _compile(self.model, self.rows, example, tuple(order), bool(self.key), _share())
        given: dict[object, object] = {example: self.value}
        if self.key:
            given |= dict(zip(_example_key(self.model, order), self.key, strict=True))
        values = [given.get(value, value) for value in parameters]
        if self.keeps_plan:
            return CompiledRows(self.model, (statement + NUMBER, [*values, number]))
        return CompiledRows(self.model, (f"{statement} LIMIT {number:d}", values))


def columns(rows: QuerySet[Model]) -> Rows:
    """Return a query for read(). It selects the columns and annotations that `rows` reads, in their order, with the
    small values of texts and documents in place of these, and the size of all of them."""
    fields, annotations = _fields(rows), [*rows.query.annotations]  # which Django offers by `.query` alone
    large = [field.name for field in fields if _is_large(field)]
    names = [field.name + SMALL if _is_large(field) else field.attname for field in fields]
    if not large:
        return rows.values(*names, *annotations)
    small = {name + SMALL: IfSmall(name, most=_share()) for name in large}
    bounded: Rows = rows.annotate(**small, **{SIZE: Size(*large)}).values(*names, *annotations, SIZE)
    return bounded


def read(rows: Rows | CompiledRows) -> tuple[Table, bool]:
    """Return the rows of a columns() query up to the size limit, with their large fields, and whether rows were cut
    off. The first row is always returned. Rows that were deleted since the first query may be left out."""
    try:
        statement = rows.statement if isinstance(rows, CompiledRows) else plain_rows.statement_of(rows)
    except EmptyResultSet:  # of none()
        return Table((), []), False
    found = plain_rows.read(statement, rows.model, SMALL)
    if SIZE not in found.names:
        return found, False
    place = found.names.index(SIZE)  # before annotations that were added to a columns() query
    sizes, share = [row[place] for row in found.rows], _share()
    number = _number_within_limit(sizes)
    names = (*found.names[:place], *found.names[place + 1 :])
    kept = Table(names, [row[:place] + row[place + 1 :] for row in found.rows[:number]])
    is_large = [size > share for size in sizes[:number]]
    return (_with_large_values(rows.model, kept, is_large) if any(is_large) else kept), number < len(sizes)


@lru_cache(maxsize=64)
def _compile(
    model: type[Model],
    rows: Callable[[Any], Rows],
    example: Value,
    order: tuple[str, ...],
    has_key: bool,
    share: int,  # noqa: ARG001  # a key: the statement has it, too
) -> plain_rows.Statement:
    """Return the statement without its LIMIT."""
    found = rows(example)
    if has_key:
        found = found.filter(keyset.after(order, _example_key(model, order)))
    statement, parameters = plain_rows.statement_of(found.order_by(*order)[:1])
    return statement.rpartition(" LIMIT ")[0], parameters


def _example_key(model: type[Model], order: Sequence[str]) -> list[object]:
    fields = (model._meta.get_field(name.removeprefix("-")) for name in order)
    return [EXAMPLES[type(field)] for field in fields]


def _share() -> int:
    """Return up to which size the first query returns a value, which is a page's share of the limit."""
    return max(LEAST, ledgerkit_settings.MAX_PAGE_BYTES // (MAX_PAGE_SIZE + 1))


def _number_within_limit(sizes: Sequence[int]) -> int:
    room = ledgerkit_settings.MAX_PAGE_BYTES
    if sum(sizes) <= room:
        return len(sizes)
    return max(1, sum(total <= room for total in accumulate(sizes)))


def _fields(rows: QuerySet[Model]) -> list[Column]:
    """Return the fields that a query reads."""
    named, are_left_out = rows.query.deferred_loading  # Django has no public API to read what defer() and only() set
    fields = rows.model._meta.concrete_fields
    return [field for field in fields if field.primary_key or (field.name in named) is not are_left_out]


def _is_large(field: Column) -> bool:
    return isinstance(field, JSONField | TextField)


def _with_large_values(model: type[Model], found: Table, is_large: Sequence[bool]) -> Table:
    """Return the rows, with the values that the first query left out; without rows that were deleted since."""
    rows = found.columns()
    ids = [row["id"] for row in compress(rows, is_large)]
    names = [field.name for field in model._meta.concrete_fields if _is_large(field) and field.name in found.names]
    read_again = model._base_manager.filter(pk__in=ids).values("id", *names)
    whole = {row["id"]: row for row in plain_rows.read(plain_rows.statement_of(read_again), model).columns()}
    gone = set(ids) - whole.keys()
    kept = (row | whole.get(row["id"], {}) for row in rows if row["id"] not in gone)
    return Table(found.names, [tuple(row.values()) for row in kept])
