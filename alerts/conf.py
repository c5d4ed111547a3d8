"""The setting `ALERTS`."""

from ledgerkit.conf import AppSettings, Number, Setting


class AlertsSettings(AppSettings):
    # Seconds between two looks of `manage.py serve` at what ended and what is missing.
    SCAN_EVERY_SECONDS = Number(5, least=1, most=3_600)
    # Seconds that one try to send a message may take.
    SEND_SECONDS = Number(10, least=1, most=60)
    # Days of failures after which a channel is disabled, and a message given up.
    GIVE_UP_DAYS = Number(7, least=1, most=90)
    # Days after which upkeep removes alerts and their deliveries.
    KEEP_DAYS = Number(30, least=1, most=36_500)
    # Whether webhooks may be sent to addresses that are not public, such as 10.0.0.1.
    PRIVATE_ADDRESSES = Setting[bool](default=False)
    # Beginning of the links in messages, such as https://ledger.example; "" for links without it.
    SITE_URL = Setting[str]("")


alerts_settings = AlertsSettings("ALERTS")
