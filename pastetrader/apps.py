from django.apps import AppConfig


class PasteTraderConfig(AppConfig):
    name = "pastetrader"
    verbose_name = "PasteTrader"
