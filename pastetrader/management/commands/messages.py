from typing import Any

from django.core.management import BaseCommand, CommandError

from pastetrader import translations


class Command(BaseCommand):
    help = "Take the strings of the sources into the Korean catalogue, and compile it. Needs GNU gettext."
    requires_system_checks: list[str] = []

    def handle(self, **options: Any) -> None:
        try:
            translations.update()
        except translations.ToolsMissing as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"Wrote {translations.catalogue_path()} and compiled it. Translate what is empty or fuzzy, then again."
        )
