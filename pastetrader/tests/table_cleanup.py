"""Emptying of tables after a test that commits: by DELETE, which takes milliseconds where rows are few.

Django's `flush` truncates every table, so that PostgreSQL replaces some 250 files, and makes content types and
permissions anew: 0.3 s of waiting after each of 400 tests."""

from functools import cache
from typing import Any

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.commands import flush
from django.db import DEFAULT_DB_ALIAS, ProgrammingError, connection, transaction

from executions import partitions

KEPT_TABLES = {ContentType._meta.db_table, Permission._meta.db_table}  # the same for every test
MAX_DELETED = (
    2_000  # deleted rows stay in their files, and later tests would read over them: where there are more, truncate
)


class Flush(flush.Command):
    """The command of this name, for the test suite."""

    def handle(self, **options: Any) -> None:
        if _delete_all():
            partitions.forget()
            if set(partitions.plan()) - set(partitions.existing()):  # a test took one away
                partitions.make_ahead()
        else:
            super().handle(**options)


def truncate() -> None:
    """Truncate all tables, so that PostgreSQL has no statistics of them."""
    flush.Command().handle(database=DEFAULT_DB_ALIAS, verbosity=0, interactive=False, reset_sequences=False)


def _delete_all() -> bool:
    """Return whether that was enough: not where the role may not turn triggers off, nor after many rows."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_statements())
            deleted = 0
            while cursor.nextset():  # the first is of SET
                deleted += cursor.rowcount
            return deleted <= MAX_DELETED
    except ProgrammingError:
        return False


@cache
def _statements() -> str:
    """Return all statements as one round trip, without triggers and checks of foreign keys."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    deletes = (f"DELETE FROM {connection.ops.quote_name(table)}" for table in sorted(set(tables) - KEPT_TABLES))
    return "; ".join(["SET LOCAL session_replication_role = replica", *deletes])
