"""Validation and defaults of a node's retry_config."""

import zlib
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from ledgerkit.db.json_validation import is_integer

MAX_RETRIES = 3
DELAY = 1.0  # seconds
MAX_DELAY = 3_600.0
KEYS = ("max_retries", "delay")
MOST_UNKNOWN = 20  # keys listed in one error
MAX_KEY_LENGTH = 40  # characters of a key
NOT_WHOLE = _("retry_config.max_retries: expected a whole number from 0.")
UNKNOWN = _("retry_config.%(key)s: there is no such key. It takes %(keys)s; use the node's config for others.")


def default_retry_config() -> dict[str, int]:
    return {"max_retries": MAX_RETRIES, "delay": 1}


def retries_in(retry_config: object) -> int:
    """Return the number of retries of a failed execution, or the default if it is not configured."""
    retries = retry_config.get("max_retries", MAX_RETRIES) if isinstance(retry_config, dict) else MAX_RETRIES
    return int(retries) if is_integer(retries) else MAX_RETRIES


def delay_before(retry_config: object, retries: int, *, of: str) -> float:
    """Return the seconds from a failure to the next retry after `retries` retries: the `delay` (1 by default), doubled
    for each retry, an hour at most, and up to a quarter shorter or longer, so that rows that fail together are not
    retried together. The random part depends only on `of` and `retries`."""
    delay = retry_config.get("delay", DELAY) if isinstance(retry_config, dict) else DELAY
    is_number = isinstance(delay, int | float) and not isinstance(delay, bool) and delay >= 0
    seconds = float(min(delay, MAX_DELAY)) if is_number else DELAY  # an int may be more than a float can hold
    part = zlib.crc32(f"{of} {retries}".encode()) / 2**32
    return min(seconds * 2.0 ** min(retries, 32), MAX_DELAY) * (0.75 + part / 2)


def check(retry_config: object) -> None:
    """Raise ValidationError on `retry_config` for an unknown key or an invalid number."""
    known = retry_config if isinstance(retry_config, dict) else {"max_retries": None}
    retries = known.get("max_retries", MAX_RETRIES)
    faults = [] if is_integer(retries) and retries >= 0 else [ValidationError(NOT_WHOLE)]
    faults += [ValidationError(UNKNOWN, params=_name_keys(key)) for key in unknown_keys(known)]
    if faults:
        raise ValidationError({"retry_config": faults})


def unknown_keys(retry_config: dict[object, object]) -> Iterator[str]:
    unknown = (str(key) for key in retry_config if key not in KEYS)
    return (key for _number, key in zip(range(MOST_UNKNOWN), unknown, strict=False))


def _name_keys(key: str) -> dict[str, str]:
    return {"key": key[:MAX_KEY_LENGTH], "keys": ", ".join(KEYS)}
