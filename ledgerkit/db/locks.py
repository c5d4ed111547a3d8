"""PostgreSQL advisory locks on a name, held by one transaction at a time."""

from django.db import connection


def lock(name: str) -> None:
    """Lock `name` until the end of the transaction. Waits for a transaction that holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def try_lock(name: str) -> bool:
    """Try to lock `name` until the end of the transaction. Return False at once if another transaction holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        return bool(cursor.fetchone()[0])
