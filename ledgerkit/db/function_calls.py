"""Calls of functions in the database."""

from typing import Any

from django.db import connection
from psycopg.rows import dict_row


def call(name: str, **arguments: Any) -> dict[str, object] | None:
    """Return the row that a function returns, by the names of its columns; None if it returns none."""
    named = ", ".join(f"{argument} => %s" for argument in arguments)
    with connection.cursor() as cursor:
        cursor.cursor.row_factory = dict_row
        cursor.execute(f"SELECT * FROM {name}({named})", list(arguments.values()))  # noqa: S608  # names of our own code
        row: dict[str, object] | None = cursor.fetchone()
        return row
