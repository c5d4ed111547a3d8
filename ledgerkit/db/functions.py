"""Calls of functions in the database."""

from typing import Any

from django.db import connection


def call(name: str, **arguments: Any) -> dict[str, object] | None:
    """Return the row that a function returns, by the names of its columns; None if it returns none."""
    named = ", ".join(f"{argument} => %s" for argument in arguments)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {name}({named})", list(arguments.values()))  # noqa: S608  # names of our own code
        row = cursor.fetchone()
        return None if row is None else dict(zip([column.name for column in cursor.description], row, strict=True))
