"""Find values in documents that are secret because of their key. No database access.

`workflows.secret_keys` defines which keys name a secret, because definitions of workflows are masked too.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from workflows.secret_keys import MASK, hidden_in, hidden_items, should_mask

SHORTEST = 6  # characters; a shorter value would match ordinary words
LINE = 12  # characters; a line of this length in a multi-line value is a secret by itself

SCHEME = re.compile(r"(?:basic|bearer|token|digest|negotiate|apikey)\s+(\S.*)", re.IGNORECASE | re.DOTALL)
NESTED = (dict, list, tuple)


def find_secret_values(document: object, extra: tuple[str, ...] = ()) -> set[str]:
    """Return the values under keys that name a secret, at any depth, that are long enough to be masked elsewhere."""
    return set(_values_in(document, extra)) if isinstance(document, NESTED) else set()


def _values_in(document: Any, extra: tuple[str, ...]) -> Iterator[str]:
    if isinstance(document, dict):
        more = hidden_in(document, extra)
        for key, item in document.items():
            if key in more or should_mask(key, item, extra):
                yield from _leaves(item)
            elif isinstance(item, NESTED):
                yield from _values_in(item, extra)
        return
    places = hidden_items(document, extra)
    for at, item in enumerate(document):
        if at in places:
            yield from _leaves(item)
        elif isinstance(item, NESTED):
            yield from _values_in(item, extra)


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        text = value if isinstance(value, str) else json.dumps(value)
        yield from filter(is_findable, [text, *_parts(text)])


def is_findable(value: str) -> bool:
    return len(value) >= SHORTEST and MASK not in value and not value.isspace()


def _parts(value: str) -> Iterator[str]:
    """Return the parts of a value that are secret by themselves: the value without surrounding spaces, each of its
    lines, the token after its scheme, the password inside an address."""
    yield value.strip()
    if len(lines := value.split("\n")) > 1:
        yield from (line.strip() for line in lines if len(line.strip()) >= LINE)
    if scheme := SCHEME.fullmatch(value.strip()):
        yield scheme[1]
    if "://" in value:
        try:
            password = urlsplit(value.strip()).password or ""
        except ValueError:
            return
        yield from (password, unquote(password))
