"""Keyset pagination: a page starts after the key of a row instead of at an offset.

An order is a sequence of column names that are never NULL, the last one unique: all ascending, or all descending ("-").
A key holds the values of these columns in one row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import ValidationError
from django.db.models import Func, Model, OuterRef, Q, QuerySet, UUIDField
from django.utils.duration import duration_string

from ledgerkit.db.models import Column

type Order = Sequence[str]
type Key = Sequence[object]
type Ids = QuerySet[Any, Any]
# Returns a subquery of the ids of the first rows of a queryset, None if there is no better way than its order.
type Firsts = Callable[[Any, Order, int], Ids | None]


def after(order: Order, key: Key, *, inclusive: bool = False) -> Q:
    """Return the condition for rows after `key` in this order; with `inclusive` also for the row of the key.

    For (a, b) it is `a >= x AND (a > x OR b > y)`: the bound on the first column is what an index on (a, b) needs.
    """
    name, value = order[0].removeprefix("-"), key[0]
    beyond = "lt" if order[0].startswith("-") else "gt"
    if len(order) == 1:
        return Q((f"{name}__{beyond}e" if inclusive else f"{name}__{beyond}", value))
    rest = after(order[1:], key[1:], inclusive=inclusive)
    return Q((f"{name}__{beyond}e", value)) & (Q((f"{name}__{beyond}", value)) | rest)


def before(order: Order, key: Key) -> Q:
    """Return the condition for rows before `key` in this order."""
    return after(reverse(order), key)


def reverse(order: Order) -> list[str]:
    return [name.removeprefix("-") if name.startswith("-") else f"-{name}" for name in order]


def key_of(order: Order, row: Model) -> list[object]:
    return [getattr(row, name.removeprefix("-")) for name in order]


def first_of_each[M: Model](groups: QuerySet[Any], rows: QuerySet[M], column: str, order: Order, number: int) -> Ids:
    """Return a subquery of the ids of the first `number` rows of each group, where `column` refers to the group.

    Each group is read from its own index, in order. Given one ORDER BY ... LIMIT for all groups, PostgreSQL may scan
    the whole table in this order until enough rows belong to them: for groups without new rows, nearly all of it.
    """
    firsts = rows.filter(**{column: OuterRef("pk")}).order_by(*order).values("pk")[:number]
    return groups.values_list(Func(ArraySubquery(firsts), function="unnest", output_field=UUIDField()))


def first_of_parts[M: Model](
    column: str, parts: Sequence[Q], rows: QuerySet[M], order: Order, number: int, within: Firsts | None = None
) -> Ids:
    """Return a subquery of the ids of the first `number` rows of each part. The conditions of the parts bound a column
    and have no row in common; in the order of another column the rows are not divided. `within` finds those of a part.

    Ids are found in an index alone if it includes all columns of the conditions. The rows are read for these few.
    """
    parts = parts if order[0].removeprefix("-") == column else [Q()]
    first, *others = [_first_ids(rows.filter(part), order, number, within) for part in parts]
    return first.union(*others, all=True) if others else first


def _first_ids[M: Model](rows: QuerySet[M], order: Order, number: int, firsts: Firsts | None) -> Ids:
    ids = firsts and firsts(rows, order, number)
    return rows.order_by(*order).values("pk")[:number] if ids is None else ids


def encode(key: Iterable[object]) -> list[str]:
    """Return the values of a key as text."""
    return [
        value.isoformat() if isinstance(value, datetime)
        else duration_string(value) if isinstance(value, timedelta)
        else str(value)
        for value in key
    ]  # fmt: skip


def decode(
    rows: QuerySet[Model], order: Order, texts: Iterable[str], annotations: Mapping[str, Column] | None = None
) -> list[object]:
    """Parse the texts of encode() as values of the columns of `rows`, or of its `annotations`, given as the fields of
    their values by name. Raises ValueError."""
    names = [name.removeprefix("-") for name in order]
    fields = [(annotations or {}).get(name) or rows.model._meta.get_field(name) for name in names]
    try:
        return [_decode(cast("Column", field), text) for field, text in zip(fields, texts, strict=True)]
    except (TypeError, OverflowError, ValidationError) as error:
        raise ValueError(str(error)) from error


def _decode(field: Column, text: str) -> object:
    """Parse one value. Raises ValueError for a time without zone, OverflowError for one that UTC cannot represent."""
    value = field.to_python(text)
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError(text)
    return value.astimezone(UTC)
