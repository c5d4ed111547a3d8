"""The server's own log: one handler on stderr, as text or as JSON lines."""

from typing import Any

OURS = ("pastetrader", "workflows", "executions", "alerts", "tokens")


def logging_config(*, formatter: str, level: str, others: str) -> dict[str, Any]:
    """Return LOGGING. `formatter` is text or json, `level` that of our packages, `others` that of all others."""
    filters = ["probes", "client_faults"]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {
                "()": "pastetrader.log_format.RedactingFormatter",
                "format": "{asctime} {levelname} {name}: {message}",
                "style": "{",
            },
            "json": {"()": "pastetrader.log_format.JSONFormatter"},
        },
        "filters": {
            "client_faults": {"()": "pastetrader.log_format.ClientErrorFilter"},
            "probes": {"()": "pastetrader.log_format.ProbeFilter"},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": formatter, "filters": filters}},
        "root": {"handlers": ["stderr"], "level": others},
        "loggers": {name: {"level": level} for name in OURS},
    }
