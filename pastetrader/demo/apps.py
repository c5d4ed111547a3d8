import logging

from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "pastetrader.demo"
    label = "demo"
    verbose_name = "Demo"

    def ready(self) -> None:
        from .log_handler import LedgerHandler  # noqa: PLC0415 - it needs the models, which are loaded by now

        logging.getLogger(self.name).addHandler(LedgerHandler())
