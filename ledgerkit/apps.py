from django.apps import AppConfig

from .conf import ledgerkit_settings


class LedgerkitConfig(AppConfig):
    """The app must be installed for its template tags."""

    name = "ledgerkit"

    def ready(self) -> None:
        ledgerkit_settings.register_check()
