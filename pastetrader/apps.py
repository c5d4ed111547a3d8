import gc

from django.apps import AppConfig


class PasteTraderConfig(AppConfig):
    name = "pastetrader"
    verbose_name = "PasteTrader"

    def ready(self) -> None:
        """Let Python search for garbage again, which manage.py has turned off while modules are loaded. What they have
        made stays until the process ends, so nothing is searched for in it."""
        if not gc.isenabled():
            gc.freeze()
            gc.enable()
