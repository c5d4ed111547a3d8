"""Keys of a workflow's config for the retention of its runs: days, or null for ever, and the lowest level of log
lines that is stored. Without a key the ledger's settings apply."""

from collections.abc import Iterator, Mapping

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

DAYS = ("retention_days", "failed_retention_days", "log_retention_days")
LOG_LEVEL = "log_level"
LEVELS = ("debug", "info", "warning", "error")
MOST_DAYS = 36_500
NO_DAYS = _("config.%(key)s: expected a whole number of days from 1 to 36500, or null to keep them for ever.")
NO_LEVEL = _("config.log_level: expected one of debug, info, warning, error.")


def check(config: object) -> None:
    """Raise ValidationError for an invalid value, with its key."""
    if faults := list(_faults(config if isinstance(config, Mapping) else {})):
        raise ValidationError({"config": faults})


def _faults(config: Mapping[str, object]) -> Iterator[ValidationError]:
    for key in DAYS:
        if key in config and not is_days(config[key]):
            yield ValidationError(NO_DAYS, params={"key": key})
    if LOG_LEVEL in config and config[LOG_LEVEL] not in LEVELS:
        yield ValidationError(NO_LEVEL)


def is_days(value: object) -> bool:
    """Return whether the value is valid: rows from before the check may have invalid values, which are ignored."""
    return value is None or (type(value) is int and 1 <= value <= MOST_DAYS)
