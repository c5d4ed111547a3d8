from typing import Any

from django.core.management.commands.migrate import Command as Migrate

from ledgerkit.db.timeouts import no_limit


class Command(Migrate):
    """Django's migrate without a statement timeout, because an index on a large table takes its time."""

    def handle(self, *args: object, **options: Any) -> None:
        with no_limit(options["database"]):
            super().handle(*args, **options)
