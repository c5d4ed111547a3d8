"""Differences between two JSON documents, by path, in readable form."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile

MAX_DIFFERENCES = 50  # differences listed
CUT = 200  # characters shown of a value
BEFORE = 40  # of these, characters before the first difference


@dataclass(frozen=True)
class Difference:
    """A difference: its path, as in `picks[0].weight` (empty for the whole document), and both values; None if a
    document has none there."""

    path: str
    before: str | None
    after: str | None


class _Nothing:
    """Placeholder for a path that a document does not have."""


NOTHING = _Nothing()


def differences(before: object, after: object) -> tuple[list[Difference], bool]:
    """Return the first differences in document order, and whether there are more."""
    found = [
        Difference(path, *_format_value(a, b)) for path, a, b in islice(_walk("", before, after), MAX_DIFFERENCES + 1)
    ]
    return found[:MAX_DIFFERENCES], len(found) > MAX_DIFFERENCES


def parse(text: str) -> object:
    """Parse JSON from the database. Numbers are kept as text, so that none is rounded or too long."""
    return json.loads(text, parse_int=_Number, parse_float=_Number)


class _Number(str):
    __slots__ = ()


def _walk(path: str, before: object, after: object) -> Iterator[tuple[str, object, object]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _walk(_under(path, key), before.get(key, NOTHING), after.get(key, NOTHING))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            yield from _walk(f"{path}[{index}]", _item(before, index), _item(after, index))
    elif type(before) is not type(after) or before != after:
        yield path, before, after


def _under(path: str, key: str) -> str:
    if not key.isidentifier():
        return f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path else key


def _item(items: list[object], index: int) -> object:
    return items[index] if index < len(items) else NOTHING


def _format_value(before: object, after: object) -> tuple[str | None, str | None]:
    """Return both values as text; of long ones the part around the first difference."""
    printed = [None if value is NOTHING else _dump(value) for value in (before, after)]
    long = any(text is not None and len(text) > CUT for text in printed)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(*(text or "" for text in printed), strict=False))
    start = max(0, sum(1 for _ in same) - BEFORE) if long else 0
    before_shown, after_shown = (None if text is None else _cut(text, start) for text in printed)
    return before_shown, after_shown


def _cut(text: str, start: int) -> str:
    return f"{'…' if start else ''}{text[start : start + CUT]}{'…' if len(text) > start + CUT else ''}"


def _dump(value: object) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_dump(key)}: {_dump(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
