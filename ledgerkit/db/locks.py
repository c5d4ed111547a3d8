"""PostgreSQL's advisory locks: a name that one transaction at a time may hold."""

from django.db import connection


def lock(name: str) -> None:
    """Wait until this transaction holds `name`, and hold it until its end."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def try_lock(name: str) -> bool:
    """Whether this transaction holds `name` from now until its end; False, without waiting, where another one does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        return bool(cursor.fetchone()[0])
