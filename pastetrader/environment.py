"""Reading the environment: a value is right, or the program stops with a sentence that names the variable."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"0", "false", "no", "off", ""})


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool = False) -> bool:
    value = text(name, "1" if default else "0").lower()
    if value not in YES | NO:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be 1 or 0.")
    return value in YES


def number(name: str, default: int, *, least: int = 0) -> int:
    value = text(name, str(default))
    if not (value.isascii() and value.isdigit()) or int(value) < least:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a whole number, {least} or more.")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def database(name: str) -> dict[str, Any]:
    """Django's names for the parts of postgresql://user:password@host:port/name?option=value."""
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


def _split(name: str, value: str) -> SplitResult:
    try:
        url = urlsplit(value)
        _ = url.port  # read here, because only reading it tells a bad one
    except ValueError as exc:
        raise _bad_url(name, f"is not a URL ({exc})") from exc
    return url


def _host_and_options(name: str, url: SplitResult) -> dict[str, Any]:
    try:
        options: Mapping[str, str] = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query)))
    except ValueError as exc:
        raise _bad_url(name, "has a query that is not option=value&option=value") from exc
    # A socket folder cannot stand before the port, so libpq's own ?host=/folder names it.
    host = options.get("host") or unquote(url.hostname or "")
    return {"HOST": host, "OPTIONS": {key: value for key, value in options.items() if key != "host"}}


def _bad_url(name: str, why: str) -> ImproperlyConfigured:
    """Never shows the value: it may hold a password."""
    return ImproperlyConfigured(f"{name} {why}.")
