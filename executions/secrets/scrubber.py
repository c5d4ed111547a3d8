"""Masking of secret values in texts and documents. No database access. `workflows.secret_keys` defines which keys name
a secret, because definitions of workflows are masked too.

A value is found unchanged and as programs write it: escaped by JSON, Python, URLs or HTML, also nested; over several
lines; with colour codes inside; in hexadecimal and in base64, alone or inside other data. In texts, values that a word
before them announces (key_value_patterns.py) or that have the format of a token (token_patterns.py) are masked too.

The time is linear in the size of the text.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ledgerkit.db.json_validation import to_storable_text
from workflows.secret_keys import (
    LONGEST_KEPT,
    MASK,
    NAMES,
    VALUES,
    hidden_in,
    hidden_items,
    names_secret,
    normalize_key,
    should_mask,
)

from . import key_value_patterns
from .decoding import readings
from .encoded_forms import Needles
from .string_search import Span
from .values_by_key import SHORTEST, is_findable

__all__ = ["MASK", "NOTHING", "RedactEverything", "Scrubber", "names_secret"]

MANY = 1_000
SHORT = 40  # characters; such texts repeat on many log lines, like a host name
ROUNDS = 3  # a mask next to other text may look like another secret
INSIDE = 1_000_000  # characters; longer JSON inside a string is not parsed
SHAPES = 500  # cached texts without their digits
DIGITS = b"0123456789"
BETWEEN = "\n"  # separates texts that are searched together: no match spans two of them
ATOMS = frozenset({bool, int, float, type(None)})

IN_NUMBERS = frozenset("0123456789.e+-")
NO_KEYS: frozenset[str] = frozenset()

type Taken = dict[str, int]  # how often each masked key occurred, so that equal ones are numbered in constant time


class Scrubber:
    """Masks the secret values of one run. `extra` are names of secret keys in addition to NAMES."""

    def __init__(self, values: Iterable[str] = (), extra: tuple[str, ...] = ()) -> None:
        self.values = frozenset(value for value in values if is_findable(value))
        self.named = extra
        self._in_numbers = any(set(value) <= IN_NUMBERS for value in self.values)
        self._needles = Needles(self.values)
        self._few = self._needles.plain.roots  # empty if there are many
        self._clean: set[str] = set()
        self._shapes: set[bytes] = set()
        self._keys: dict[str, str] = {}
        self._plain_keys: set[object] = set()

    def text(self, text: str) -> str:
        """Return the text with a mask in place of each value. Overlapping values become one mask."""
        for _round in range(ROUNDS):
            if not self._is_suspect(text):
                break
            before, text = text, MASK.join(map(self._part, text.split(MASK)))
            if text == before:
                break
        return text

    def changes_none(self, texts: Iterable[str]) -> bool:
        """Return whether text() changes none of these texts, by one search in all of them. False may be wrong."""
        return not self.values and not key_value_patterns.may_hold(BETWEEN.join(texts), self.named)

    def _part(self, text: str) -> str:
        """Mask a text that contains no masks."""
        if key_value_patterns.may_hold(text, self.named):
            if (clean := self._json(text)) is not None:
                return clean
            spans = [*key_value_patterns.spans(text, self.named), *self._spans(text)]
        else:
            spans = list(self._spans(text))
        return _replace_spans(text, spans) if spans else text

    def _json(self, text: str) -> str | None:
        """Return a text that is JSON masked by its keys. None if it is not JSON or contains no such key."""
        if text[:1] not in {"{", "["} or text[-1:] not in {"}", "]"} or len(text) > INSIDE:
            return None
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return None
        clean = self.document(document)
        return None if clean == document else to_storable_text(json.dumps(clean, ensure_ascii=False))

    def _spans(self, text: str) -> Iterator[Span]:
        if not self.values:
            return
        if self._needles.is_in(text):
            yield from self._needles.spans(text)
        for reading in readings(text):
            if self._needles.is_in(reading.text):
                offsets = reading.offsets()
                for start, end in self._needles.spans(reading.text):
                    yield offsets[start], offsets[end]

    def _is_suspect(self, text: str) -> bool:
        if len(text) > SHORT:
            return self._may_hold(text)
        if len(text) < SHORTEST or text in self._clean:
            return False
        if self._may_hold(text):
            return True
        if len(self._clean) < MANY:
            self._clean.add(text)
        return False

    def _may_hold(self, text: str) -> bool:
        for needle in self._few:  # runs for every text; any() takes twice as long
            if needle in text:
                return True
        if self.values and (
            "\\" in text
            or "%" in text
            or "\n" in text
            or ("&" in text and ";" in text)
            or "\x1b" in text
            or (self._needles.is_encoded_in(text) if self._few else self._needles.is_in(text))
        ):
            return True
        return self._may_name(text)

    def _may_name(self, text: str) -> bool:
        """Return key_value_patterns.may_hold() of the text without its digits: most log lines differ only in these."""
        if len(text) > LONGEST_KEPT:
            return key_value_patterns.may_hold(text, self.named)
        shape = text.encode("utf-8", "surrogatepass").translate(None, DIGITS)
        if shape in self._shapes:
            return False
        if key_value_patterns.may_hold(shape.decode("utf-8", "surrogatepass"), self.named):
            return True
        if len(self._shapes) >= SHAPES:
            self._shapes.clear()
        self._shapes.add(shape)
        return False

    def document(self, value: object) -> Any:
        """Return a copy, masked under keys that name a secret and scrubbed everywhere else, including keys."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, (list, tuple)):  # four times as fast as list | tuple
            if places := hidden_items(value, self.named):
                return [MASK if at in places else self.document(item) for at, item in enumerate(value)]
            return [
                item if item.__class__ is str and not self._is_suspect(item) else self.document(item) for item in value
            ]
        if self._in_numbers and isinstance(value, int | float) and not isinstance(value, bool):
            written = repr(value)
            return value if (text := self.text(written)) == written else text
        return value

    def _object(self, value: dict[object, object]) -> dict[object, object]:
        clean: dict[object, object] = {}
        more = NO_KEYS if VALUES.isdisjoint(value) else hidden_in(value, self.named)
        taken: Taken = {}
        for key, item in value.items():
            if key in self._plain_keys or self._is_plain_key(key):  # true for nearly every key
                if more and key in more:
                    clean[key] = self._hidden(item)
                elif item.__class__ in ATOMS and not self._in_numbers:
                    clean[key] = item
                else:
                    clean[key] = item if isinstance(item, str) and not self._is_suspect(item) else self.document(item)
            else:
                name = self._key(key, taken, clean, value)
                hidden = key in more or should_mask(key, item, self.named)
                clean[name] = self._hidden(item) if hidden else self.document(item)
        return clean

    def _is_plain_key(self, key: object) -> bool:
        """Return whether a key neither names nor contains a secret. Cached: keys are few, and are on every line."""
        if not isinstance(key, str):
            return False
        is_plain = not names_secret(key, self.named) and self._key(key, {}) == key
        if is_plain and len(self._plain_keys) < MANY and len(key) <= LONGEST_KEPT:
            self._plain_keys.add(key)
        return is_plain

    def _hidden(self, value: object) -> object:
        if isinstance(value, dict):
            clean: dict[object, object] = {}
            taken: Taken = {}
            for key, item in value.items():
                clean[self._key(key, taken, clean, value)] = self._hidden(item)
            return clean
        if isinstance(value, list | tuple):
            return [self._hidden(item) for item in value]
        return value if value is None else MASK

    def _key(self, key: object, taken: Taken, *others: dict[object, object]) -> object:
        """Return the masked key. Keys that differ only in a secret get a number, and none takes the name of another
        key."""
        written = str(key)
        text = self._keys.get(written)  # few keys, repeated on every line
        if text is None:
            text = self.text(written)
            if len(self._keys) < MANY and len(written) <= LONGEST_KEPT:
                self._keys[written] = text
        if text == written or normalize_key(written).removesuffix("s") in NAMES:
            return key  # a name from NAMES is public, even if it equals a secret
        name, count = text, taken.get(text, 1)
        while any(name in names for names in others):
            count += 1
            name = f"{text} ({count})"
        taken[text] = count
        return name


class RedactEverything(Scrubber):
    """Scrubber for a run whose secrets are unknown: it replaces every text."""

    def text(self, text: str) -> str:
        return MASK

    def changes_none(self, texts: Iterable[str]) -> bool:
        return False

    def _key(self, key: object, taken: Taken, *others: dict[object, object]) -> object:
        return key

    def _is_suspect(self, text: str) -> bool:
        return True


NOTHING = Scrubber()


def _replace_spans(text: str, spans: Iterable[Span]) -> str:
    pieces: list[str] = []
    at = 0
    for start, end in _merge_spans(spans):
        pieces += [text[at:start], MASK]
        at = end
    return "".join(pieces) + text[at:]


def _merge_spans(spans: Iterable[Span]) -> Iterator[Span]:
    ordered = sorted(spans)
    start, end = ordered[0]
    for left, right in ordered[1:]:
        if left < end:
            end = max(end, right)
        else:
            yield start, end
            start, end = left, right
    yield start, end
