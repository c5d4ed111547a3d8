from django.core.management import BaseCommand, CommandError

from pastetrader import translations


class Command(BaseCommand):
    help = "Update the Korean catalogues from the sources and compile them. Needs GNU gettext."
    requires_system_checks: list[str] = []

    def handle(self, **options: object) -> None:
        try:
            translations.update()
        except translations.ToolsMissing as error:
            raise CommandError(str(error)) from None
        written = "\n".join(str(po) for po in translations.catalogue_paths())
        self.stdout.write(f"Wrote and compiled\n{written}\nTranslate what is empty or fuzzy, then run it again.")
