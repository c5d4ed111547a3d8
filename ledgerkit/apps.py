from django.apps import AppConfig


class LedgerkitConfig(AppConfig):
    """The app must be installed for its template tags."""

    name = "ledgerkit"
