"""Counters of alerts for Prometheus."""

from prometheus_client import Counter

ALERTS = Counter("pastetrader_alerts_total", "Alerts that rules found, by kind.", ["kind"])
DELIVERIES = Counter(
    "pastetrader_alert_tries_total", "Tries to send a message, by channel and result.", ["kind", "result"]
)
