"""Validation of JSON and times: only values that PostgreSQL and other readers can store."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from types import NoneType
from typing import TypeGuard

from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_datetime
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.types import StrOrPromise

LARGE = 65_536  # bytes: a smaller body is parsed and masked in a few milliseconds
MAX_DEPTH = 64
MAX_POINTER = 1_000  # characters of a JSON pointer in an error: keys may be as long as the document
SURROGATES = re.compile("[\ud800-\udfff]")
# An unterminated string matches up to the end of its line, so that it is scanned once. A string of JSON has no line
# break, and an open one must not hide the next line of NDJSON.
TEXTS = re.compile(rb'"(?:[^"\\\n]++|\\[^\n])*+"?')
MAX_DIGITS = 4300  # digits of an integer: Python refuses to parse more
NOT_TEXT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")  # in JSON

MOMENT = "Expected a time as in ISO 8601, of the years 1970 to 9999, such as 2026-11-23T09:00:00Z"
FIRST_YEAR = 1970

INFINITE = _("expected a finite number, of at most {most} digits.")
TOO_DEEP = _("nested deeper than {most} levels.")
TOO_LONG = _("a whole number has more than {most} digits.")
IN_KEY = _("a key: {fault}")
NUL = _("the character NUL (\\u0000) cannot be stored.")
TOO_LARGE = _(
    "too large: {size} bytes as JSON, and at most {most} are stored ({setting}). Store large data elsewhere, and its "
    "address here."
)
DOCUMENT = "LEDGERKIT['MAX_DOCUMENT_BYTES']"
SURROGATE = _("a lone surrogate (\\ud800 to \\udfff) is not text.")

# json.dumps() makes an encoder for each call.
to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
to_strict_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def to_storable_text(text: object) -> str:
    """Return a text with NUL and lone surrogates escaped, so that any error message can be stored."""
    written = str(text)
    if type(written) is str and written.isascii() and "\x00" not in written:  # as most are
        return written
    return written.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def has_more_elements(body: bytes, most: int) -> bool:
    """Return whether JSON has more than `most` values, without parsing it: counts commas and brackets outside strings.
    The count of invalid JSON is undefined."""

    def count(text: bytes) -> int:
        return text.count(b",") + text.count(b"[") + text.count(b"{")

    return count(body) > most and count(TEXTS.sub(b"", body)) > most


def is_bounded(values: Iterable[object], levels: int = MAX_DEPTH) -> bool:
    """Return whether all numbers are finite, and at most so many levels are nested. Looks at no text: a walk through
    500 log lines takes 0.1 ms, iter_errors() ten times as long. NaN - NaN is not 0."""
    for value in values:
        if value.__class__ is str:
            continue
        if value.__class__ is float:
            if value - value != 0:
                return False
        elif isinstance(value, (dict, list, tuple)):  # at a quarter of the price of dict | list
            items = value.values() if isinstance(value, dict) else value
            if not levels or not is_bounded(items, levels - 1):
                return False
    return True


def is_integer(value: object) -> TypeGuard[float]:
    """Return whether a JSON number is integral: 3.0 is, true is not."""
    return type(value) is int or (isinstance(value, float) and value.is_integer())


def check(field: str, value: object) -> None:
    """Raise ValidationError on `field`, with the place of the first error, or `too_large` as its code."""
    if value is None or is_storable(value):
        return
    for pointer, fault in iter_errors(value):
        raise ValidationError({field: f"{field}{pointer.replace('/', '.')}: {fault}"})
    if too_large := size_fault(value):
        raise ValidationError({field: ValidationError(f"{field}: {too_large}", "too_large")})


def is_storable(value: object) -> bool:
    """Return whether neither iter_errors() nor size_fault() can find anything. False may be wrong."""
    try:
        written = to_strict_json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    if "\\u0000" in written or (not written.isascii() and SURROGATES.search(written)):
        return False
    is_flat = written.count("[") + written.count("{") <= MAX_DEPTH
    return len(written.encode()) <= ledgerkit_settings.MAX_DOCUMENT_BYTES and (is_flat or is_bounded([value]))


def size_fault(value: object) -> StrOrPromise:
    """Return an error message if the value, as JSON in UTF-8, has more bytes than the setting allows; else nothing."""
    if not value or not isinstance(value, (dict, list, tuple, str)):
        return ""
    written = to_json(value)
    size, most = len(written), ledgerkit_settings.MAX_DOCUMENT_BYTES
    if size * 4 > most:  # a character has at most 4 bytes
        size = len(written.encode("utf-8", "surrogatepass"))
    return format_lazy(TOO_LARGE, size=f"{size:,}", most=f"{most:,}", setting=DOCUMENT) if size > most else ""


def parse_utc_datetime(text: object) -> datetime:
    """Parse an ISO 8601 time and return it in UTC, the default zone. Raises ValueError for other text and for years
    outside 1970 to 9999 in UTC."""
    found = parse_datetime(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(MOMENT)
    return _in_utc(found if found.tzinfo else found.replace(tzinfo=UTC))


def check_moment(field: str, value: object) -> None:
    """Raise ValidationError on `field` for a time outside the years 1970 to 9999: some readers support no others."""
    try:
        if isinstance(value, datetime):
            _in_utc(value)
    except ValueError:
        raise ValidationError({field: f"{field}: {MOMENT}."}) from None


def _in_utc(found: datetime) -> datetime:
    if found.tzinfo is UTC and found.year >= FIRST_YEAR:  # of most log lines
        return found
    try:
        utc = found.astimezone(UTC)
    except OverflowError:
        raise ValueError(MOMENT) from None
    if utc.year < FIRST_YEAR:
        raise ValueError(MOMENT)
    return utc


def iter_errors(value: object, depth: int = 1) -> Iterator[tuple[str, StrOrPromise]]:
    """Yield (JSON pointer, message) for NUL, lone surrogates, NaN, infinities and more than 64 levels of nesting.
    Pointers are built while unwinding, so valid documents cost nothing."""
    if isinstance(value, str):
        if fault := _text_fault(value):
            yield "", fault
    elif isinstance(value, float):
        if value - value != 0:  # NaN and the infinities
            yield "", format_lazy(INFINITE, most=MAX_DIGITS)
    elif isinstance(value, dict | list | tuple):
        yield from _inside(value, depth)


def _inside(
    value: dict[object, object] | list[object] | tuple[object, ...], depth: int
) -> Iterator[tuple[str, StrOrPromise]]:
    if depth > MAX_DEPTH:
        yield "", format_lazy(TOO_DEEP, most=MAX_DEPTH)
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str) and (fault := _text_fault(key)):
            yield "", format_lazy(IN_KEY, fault=fault)
        if item.__class__ is str:  # most values; no generator for each of them
            if fault := _text_fault(item):
                yield f"/{_escape_pointer(key)}"[:MAX_POINTER], fault
        elif not isinstance(item, (bool, int, NoneType)):
            for pointer, fault in iter_errors(item, depth + 1):
                yield f"/{_escape_pointer(key)}{pointer}"[:MAX_POINTER], fault


def _escape_pointer(key: object) -> object:
    return key[:MAX_POINTER].replace("~", "~0").replace("/", "~1") if isinstance(key, str) else key


def _text_fault(text: str) -> StrOrPromise:
    if "\x00" in text:
        return NUL
    if not text.isascii() and SURROGATES.search(text):
        return SURROGATE
    return ""
