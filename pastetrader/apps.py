import gc

from django.apps import AppConfig


class PasteTraderConfig(AppConfig):
    name = "pastetrader"
    verbose_name = "PasteTrader"

    def ready(self) -> None:
        """Search for garbage from now on, and not in what is loaded: it stays until the process ends."""
        gc.freeze()
        gc.enable()
