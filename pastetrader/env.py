"""Readers of environment variables. An invalid value stops the program with an error that names the variable."""

import os
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit
from zoneinfo import available_timezones

from django.core.exceptions import ImproperlyConfigured

from ledgerkit.conf import AppSettings, Number, OptionalNumber
from pastetrader.prefix_patterns import PREFIX
from tokens.conf import TokensSettings

YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"0", "false", "no", "off", ""})
NEVER = "never"
LARGEST = 2**31 - 1  # the largest integer of PostgreSQL, and a valid timeout in Python


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool = False) -> bool:
    value = text(name, "1" if default else "0").lower()
    if value not in YES | NO:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be 1 or 0.")
    return value in YES


def number(name: str, default: int, *, least: int = 0, most: int = LARGEST) -> int:
    value = text(name, str(default))
    if not re.fullmatch("[0-9]{1,10}", value) or not least <= int(value) <= most:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a whole number from {least} to {most}.")
    return int(value)


def numbers(app: type[AppSettings], prefix: str, but: Collection[str] = ()) -> dict[str, int]:
    """Return the numeric settings of an app, except `but`, from variables with the prefix."""
    found = {
        name: setting for name, setting in app.all_settings().items() if isinstance(setting, Number) and name not in but
    }
    return {
        name: number(f"{prefix}{name}", setting.default, least=setting.least, most=setting.most)
        for name, setting in found.items()
    }


def optional_numbers(app: type[AppSettings], prefix: str) -> dict[str, int | None]:
    """Return the settings of an app that are numbers or None, from variables with the prefix; `never` is None."""
    found = {name: setting for name, setting in app.all_settings().items() if isinstance(setting, OptionalNumber)}
    return {name: _number_or_never(f"{prefix}{name}", setting) for name, setting in found.items()}


def _number_or_never(name: str, setting: OptionalNumber) -> int | None:
    value = text(name).lower()
    if value in {"", NEVER}:
        return None if value else setting.default
    if not re.fullmatch("[0-9]{1,10}", value) or setting.fault(int(value)):
        limits = f"a whole number from {setting.least} to {setting.most}, or {NEVER}"
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be {limits}.")
    return int(value)


def refuse_more(smaller: tuple[str, int], larger: tuple[str, int]) -> None:
    """Stop if the first number exceeds the second."""
    if smaller[1] > larger[1]:
        raise ImproperlyConfigured(f"{smaller[0]} is {smaller[1]}; it must not be more than {larger[0]}, {larger[1]}.")


def choice(name: str, default: str, choices: Collection[str]) -> str:
    value = text(name, default).upper()
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {text(name)!r}; it must be one of {', '.join(choices)}.")
    return value


def zone(name: str, default: str) -> str:
    """Return the name of a time zone of the IANA database."""
    value = text(name, default)
    if value != "UTC" and value not in available_timezones():
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be the name of a time zone, such as UTC, Asia/Seoul or America/New_York."
        )
    return value


def rate(name: str) -> str | None:
    """Return a rate such as 600/min, as REST framework reads it, or None if unset."""
    value = text(name).lower()
    if fault := TokensSettings.THROTTLE_READ.fault(value or None):
        raise ImproperlyConfigured(f"{name} is {value!r}; it {fault}.")
    return value or None


def text_list(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def path_prefix(name: str) -> str:
    """Return a path such as /ledger, or ""."""
    value = text(name).rstrip("/")
    if value and not PREFIX.fullmatch(value):
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a path such as /ledger, without parts . and ..")
    return value


def token(name: str) -> str:
    value = text(name)
    if value and not re.fullmatch(r"[\x21-\x7e]{16,}", value):
        raise ImproperlyConfigured(f"{name} must have 16 characters or more, of ASCII and without spaces.")
    return value


def fernet_keys(name: str) -> list[str]:
    keys = text_list(name)
    for number_, key in enumerate(keys, 1):
        if not re.fullmatch("[A-Za-z0-9_-]{43}=", key):
            # The error does not contain the value, which may be a part of a key.
            raise ImproperlyConfigured(
                f"{name} holds {len(keys)} keys, and number {number_} is none; make one with: python -c "
                "'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
            )
    return keys


def database(name: str) -> dict[str, Any]:
    """Return Django's database settings for postgresql://user:password@host:port/name?option=value."""
    url = _split(name, text(name))
    database_name = unquote(url.path.removeprefix("/"))
    if url.scheme not in {"postgres", "postgresql"} or not database_name:
        raise _bad_url(name, "must look like postgresql://user:password@host:5432/name")
    return {
        "NAME": database_name,
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "PORT": str(url.port or ""),
        **_host_and_options(name, url),
    }


def mailers(name: str, default: str) -> dict[str, dict[str, object]]:
    """Return Django's MAILERS for smtp://user:password@host:port (with STARTTLS: ?tls=1) or smtps://..."""
    url = _split(name, text(name, default))
    if url.scheme not in {"smtp", "smtps"} or not url.hostname or url.query not in {"", "tls=1"} or url.path.strip("/"):
        raise _bad_url(name, "must look like smtp://user:password@host:587?tls=1 or smtps://user:password@host:465")
    is_secure = url.scheme == "smtps"
    options: dict[str, object] = {
        "host": url.hostname, "port": url.port or (465 if is_secure else 25), "timeout": 10,
        "username": unquote(url.username or ""), "password": unquote(url.password or ""),
        "use_ssl": is_secure, "use_tls": bool(url.query),
    }  # fmt: skip
    return {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}


def _split(name: str, value: str) -> SplitResult:
    try:
        url = urlsplit(value)
        _ = url.port  # raises ValueError for an invalid port
    except ValueError as exc:
        raise _bad_url(name, f"is not a URL ({exc})") from exc
    return url


def _host_and_options(name: str, url: SplitResult) -> dict[str, object]:
    try:
        options: Mapping[str, str] = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query)))
    except ValueError as exc:
        raise _bad_url(name, "has a query that is not option=value&option=value") from exc
    # A URL cannot contain a socket folder as host, so libpq's ?host=/folder is supported.
    host = options.get("host") or unquote(url.hostname or "")
    return {"HOST": host, "OPTIONS": {key: value for key, value in options.items() if key != "host"}}


def _bad_url(name: str, why: str) -> ImproperlyConfigured:
    """Return the error. It does not contain the value, which may hold a password."""
    return ImproperlyConfigured(f"{name} {why}.")
