"""Encode values as JSON. Nothing here raises: an engine must not fail because a value cannot be recorded."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

from .safe_text import WIDEST, cut
from .tracebacks import CapturedTraceback

MAX_DOCUMENT = 1_000_000  # bytes; a ledger with default settings refuses more than 1,048,576
MAX_VALUES = 100_000  # of a document, floats count twice; these are encoded in well under 50 ms
MAX_DEPTH = 50
MAX_COPIED = 4_000  # bytes of a document that is copied; C encodes a larger one faster than Python copies it

OF_VALUE, OF_CONTAINER = 15, 80  # bytes: no more than MAX_DEPTH levels are copied
CONTAINERS = (dict, list, tuple, set, frozenset)
SCALARS = frozenset({int, float, bool, type(None)})
UNSTORABLE = ("\\u0000", *(f"\\ud{digit}" for digit in "89abcdef"))
UNPAIRED = re.compile(r"\\u0000|\\ud[89ab]..(?!\\ud[c-f])|(?<!\\ud[89ab]..)\\ud[c-f]")
# Match every escape of JSON, so that the end of one escape is not read as the start of another.
ESCAPE = re.compile(r"\\(?:ud[89ab]..\\ud[c-f]..|u0000|ud[89a-f]..|.)")


class Document(str):
    """JSON that is encoded already."""

    __slots__ = ()


TOO_LARGE = Document(json.dumps({"not_recorded": f"more than {MAX_DOCUMENT:,} bytes, or {MAX_VALUES:,} values"}))


class _NotCopiedError(Exception):
    """The value is large, or has parts that are not JSON."""


def capture(value: object) -> tuple[object, int]:
    """Return a copy that the engine cannot change, and its size in bytes. The sending thread encodes it; a value that
    is large or not JSON is encoded here."""
    try:
        copied, room = _copy_dict(value, MAX_COPIED) if type(value) is dict else _copy(value, MAX_COPIED)
    except (_NotCopiedError, RecursionError):
        room = -1
    if room >= 0:
        return copied, MAX_COPIED - room
    try:
        encoded = document(value) if _is_bounded(value) else TOO_LARGE
    except Exception:  # noqa: BLE001  # whatever methods of its own raise
        encoded = Document(_not_converted(value))
    return encoded, len(encoded)


def capture_unless_empty(value: object) -> tuple[object, int]:
    """Return capture() of the value, with None for an empty value."""
    with suppress(Exception):  # an object's own __bool__ or __len__ may raise
        if not value:
            return None, 0
    return capture(value)


def copy_mapping(value: Mapping[str, object] | None) -> dict[str, object]:
    """Return a dict of the mapping, to which keys can be added. The mapping's own methods may raise."""
    try:
        return dict(value or {})
    except Exception:  # noqa: BLE001  # the same
        return {"not_recorded": _sentence(value)}


def _copy(value: object, room: int) -> tuple[object, int]:
    """Return a copy of a JSON value, and the bytes that remain of `room`."""
    if type(value) is dict:
        return _copy_dict(value, room)
    if type(value) is list or type(value) is tuple:
        return _copy_list(value, room)
    if type(value) is str:
        return value, room - (len(value) if value.isascii() else WIDEST * len(value))
    if type(value) is CapturedTraceback or type(value) is Document:
        return value, room
    if type(value) in SCALARS:
        return value, room - OF_VALUE
    raise _NotCopiedError


def _copy_dict(value: dict[object, object], room: int) -> tuple[object, int]:
    room -= OF_CONTAINER + OF_VALUE * len(value)
    if room < 0:
        raise _NotCopiedError
    copied = dict(value)  # copy first: another thread may change the original
    for name, item in copied.items():
        if type(name) is not str:
            raise _NotCopiedError
        room -= len(name)
        if type(item) is str:
            room -= len(item) if item.isascii() else WIDEST * len(item)
        elif type(item) not in SCALARS:
            copied[name], room = _copy(item, room)
    if room < 0:
        raise _NotCopiedError
    return copied, room


def _copy_list(value: list[object] | tuple[object, ...], room: int) -> tuple[object, int]:
    room -= OF_CONTAINER + OF_VALUE * len(value)
    if room < 0:
        raise _NotCopiedError
    copied = list(value)
    for index, item in enumerate(copied):
        if type(item) not in SCALARS:
            copied[index], room = _copy(item, room)
    if room < 0:
        raise _NotCopiedError
    return copied, room


def _is_bounded(value: object) -> bool:
    """Return whether the value is small enough to be encoded while the engine waits. The check stops at that size."""
    room, left, waiting = MAX_DOCUMENT, MAX_VALUES, [value]
    while waiting and room >= 0:
        item = waiting.pop()
        if isinstance(item, str):
            room -= len(item)
        elif isinstance(item, float):
            left -= 1
        elif isinstance(item, CONTAINERS):
            left -= len(item)
            if left < 0:
                return False
            waiting.extend(item.values() if isinstance(item, dict) else item)
    return room >= 0 and left >= 0


def document(value: object) -> Document:
    """Return the value as JSON that the ledger takes: parts that are not JSON as text, a too large value as a
    sentence."""
    if isinstance(value, Document):
        return value
    try:
        encoded = json.dumps(value, default=_other, allow_nan=False, separators=(",", ":"))
        if encoded.count("[") + encoded.count("{") > MAX_DEPTH and _is_deep(value):
            encoded = json.dumps(_storable(value), separators=(",", ":"))
    except Exception:  # noqa: BLE001  # whatever an object's own __str__ raises
        encoded = _from_anything(value)
    if len(encoded) > MAX_DOCUMENT:
        return TOO_LARGE
    if any(escape in encoded for escape in UNSTORABLE) and UNPAIRED.search(encoded):
        encoded = ESCAPE.sub(_storable_escape, encoded)
    return Document(encoded)


def _storable_escape(found: re.Match[str]) -> str:
    """Return an escape that the ledger can store: NUL and lone surrogates are replaced by their names."""
    escape = found[0]
    if escape == "\\u0000":
        return "\\\\x00"
    return f"\\{escape}" if len(escape) == 6 else escape


def _is_deep(value: object) -> bool:
    level = [value]
    for _depth in range(MAX_DEPTH):
        level = [part for item in level for part in _parts(item)]
        if not level:
            return False
    return True


def _parts(value: object) -> Iterable[object]:
    """Return the containers of a container."""
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, CONTAINERS) else ()
    return [item for item in items if isinstance(item, Mapping | list | tuple | set | frozenset)]


def _from_anything(value: object) -> str:
    try:
        return json.dumps(_storable(value), separators=(",", ":"))
    except Exception:  # noqa: BLE001  # the same
        return _not_converted(value)


def _not_converted(value: object) -> str:
    return json.dumps({"not_recorded": _sentence(value)})


def _sentence(value: object) -> str:
    return f"a {type(value).__name__} that cannot be converted to JSON"


def _other(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value) if isinstance(value, CapturedTraceback) else cut(str(value))


def _storable(value: object, depth: int = 0) -> object:
    """Return the value without NaN, without keys that are not text, and with limited depth."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if depth >= MAX_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {str(key): _storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_storable(item, depth + 1) for item in value]
    return value if isinstance(value, str) else cut(str(value))
