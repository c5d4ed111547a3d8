"""Rows of a query with values as a JSON encoder takes them: ids as texts, documents as they are stored.

Django makes a UUID of each id, sets the time zone of each time by a Python function, parses each document, and asks a
converter for each value: half of the time of 500 log lines (docs/decisions.md).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from django.db import connections, router
from django.db.models import Model, QuerySet
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.string import TextLoader

type Columns = dict[str, Any]  # values of one row by the names of its columns, as `.values()` returns them
type Statement = tuple[str, Sequence[Any]]


class RawLoader(Loader):
    """Loader of a document as msgspec.Raw, which the encoder copies."""

    def load(self, data: Buffer) -> msgspec.Raw:
        return msgspec.Raw(bytes(data))


LOADERS: dict[str, type[Loader]] = {"uuid": TextLoader, "timestamptz": TimestamptzLoader, "jsonb": RawLoader}


def statement_of[M: Model, R](rows: QuerySet[M, R]) -> Statement:
    """Return the statement of a queryset and its parameters. No public method returns them apart. Raises EmptyResultSet
    for none()."""
    statement: Statement = rows.query.sql_with_params()
    return statement


class Table(NamedTuple):
    """Rows of values, and the names of their columns."""

    names: Sequence[str]
    rows: list[tuple[Any, ...]]

    def columns(self) -> list[Columns]:
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


def read(statement: Statement, model: type[Model], end: str = "") -> Table:
    """Return the rows of the statement of a `.values()` query of a model, whose names lose this `end`: ids as texts,
    times in the zone of the connection, which is UTC, and documents as msgspec.Raw."""
    with connections[router.db_for_read(model)].cursor() as cursor:
        for kind, loader in LOADERS.items():
            cursor.adapters.register_loader(kind, loader)  # of this cursor alone
        cursor.execute(*statement)
        result = cursor.pgresult  # `description` makes an object of each column
        names = (result.fname(number).decode() for number in range(result.nfields))
        return Table(tuple(name.removesuffix(end) for name in names), cursor.fetchall())
