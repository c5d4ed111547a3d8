"""Formatters of the server's own log."""

import json
import logging
import re
from copy import copy
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.urls import get_resolver

from executions import audit
from executions.secrets.scrubber import MASK

SEGMENT = re.compile(r"[^/?\s]+")
WORD = re.compile(r"[A-Za-z][\w.-]*")
HASH = re.compile(r"\.[0-9a-f]{12}(?=\.|$)")  # the hash in the name of a collected static file
FAILURE = 500  # the first status code of server errors
ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\d{1,10}")


class RedactingFormatter(logging.Formatter):
    """Formatter that masks the body of a failed API request and unknown parts of a path, in messages and tracebacks.
    The message ends with the id of its request."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        message, request_id = super().formatMessage(record), request_id_of(record)
        return f"{message} [{request_id}]" if request_id else message

    def format(self, record: logging.LogRecord) -> str:
        return redact(record, super().format(record))


class JSONFormatter(logging.Formatter):
    """Formatter that writes an object in one line, masked as text is. A traceback is in `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        status = getattr(record, "status_code", None)
        members = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record, record.getMessage()),
            "request_id": redact(record, request_id_of(record)) or None,
            "status": status,
            "process": record.process,
            "exception": redact(record, self.formatException(record.exc_info)) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in members.items() if value is not None}, ensure_ascii=False)


def request_id_of(record: logging.LogRecord) -> str:
    """Return the id of the request that the line is about, or during which it is written; "" outside of requests."""
    request = getattr(record, "request", None)
    return getattr(request, "request_id", "") or audit.current().request_id


def redact(record: logging.LogRecord, text: str) -> str:
    request = getattr(record, "request", None)
    if scrubber := getattr(request, "scrubber", None):
        text = scrubber.text(text)
    if path := getattr(request, "path_info", ""):  # the end of the path with a prefix, which stays
        for written in dict.fromkeys((path, path.encode("unicode_escape").decode("ascii"))):  # as Django's own lines do
            text = text.replace(written, clear_path(written))
    return text


class ClientErrorFilter(logging.Filter):
    """Filter that removes the traceback of a refused request, which shows only the line that raises."""

    def filter(self, record: logging.LogRecord) -> logging.LogRecord:
        if not record.exc_info or getattr(record, "status_code", FAILURE) >= FAILURE:
            return record
        short = copy(record)
        short.exc_info = short.exc_text = None
        return short


class ProbeFilter(logging.Filter):
    """Filter that drops Django's line about a probe that says "not ready", once a second: readiness.py says why."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(getattr(record, "request", None), "path_info", "") != "/readyz"


class AccessLogFilter(logging.Filter):
    """Filter of uvicorn's access log that removes the values of query parameters."""

    def filter(self, record: logging.LogRecord) -> bool:
        arguments: Any = record.args
        if isinstance(arguments, tuple) and len(arguments) > 2:  # client, method, address, ...
            path, mark, _query = str(arguments[2]).partition("?")
            record.args = (*arguments[:2], f"{clear_path(path)}{mark and '?…'}", *arguments[3:])
        return True


def clear_path(path: str) -> str:
    """Return the path with a mask for each part that is neither an id, nor a word in the project's URLs, nor part of a
    static file's name."""
    # Also behind a prefix that a proxy names: it is not known here.
    known = _static_words() if settings.STATIC_URL in path else _words(settings.ROOT_URLCONF)
    return SEGMENT.sub(lambda part: part[0] if _is_known(part[0], known) else MASK, path)


def _is_known(part: str, known: frozenset[str]) -> bool:
    return part in known or HASH.sub("", part) in known or ID.fullmatch(part) is not None


@cache
def _static_words() -> frozenset[str]:
    names = (path for finder in get_finders() for path, _storage in finder.list([]))
    return frozenset(part for name in (settings.STATIC_URL, *names) for part in name.split("/"))


@cache
def _words(urls: str) -> frozenset[str]:
    found = set(WORD.findall(f"metrics {settings.FORCE_SCRIPT_NAME or ''}"))
    waiting = list(get_resolver(urls).url_patterns)
    while waiting:
        pattern: Any = waiting.pop()
        found.update(WORD.findall(str(pattern.pattern)))
        waiting += getattr(pattern, "url_patterns", ())
    return frozenset(found)
