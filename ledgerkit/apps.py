from django.apps import AppConfig


class LedgerkitConfig(AppConfig):
    """Installed for its template tags."""

    name = "ledgerkit"
