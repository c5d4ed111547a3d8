"""The setting `ALERTS`."""

from ledgerkit.conf import AppSettings, Number


class AlertsSettings(AppSettings):
    # Seconds between two looks of `manage.py serve` at what ended and what is missing.
    SCAN_EVERY_SECONDS = Number(5, least=1, most=3_600)


alerts_settings = AlertsSettings("ALERTS")
