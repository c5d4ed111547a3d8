import gc

from django.apps import AppConfig


class PasteTraderConfig(AppConfig):
    name = "pastetrader"
    verbose_name = "PasteTrader"

    def ready(self) -> None:
        """Collect garbage from here on: manage.py has imported everything without, as nothing of it is garbage."""
        gc.freeze()
        gc.enable()
