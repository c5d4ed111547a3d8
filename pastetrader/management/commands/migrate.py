from typing import Any

from django.core.management.commands.migrate import Command as Migrate
from django.db import connections


class Command(Migrate):
    """Django's own, without the time limit on statements: an index on a large table takes as long as it takes."""

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
        try:
            super().handle(*args, **options)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET statement_timeout")
