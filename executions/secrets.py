"""Secrets in what is recorded: what their values are, and texts and documents without them. Pure. What names one is
told in `workflows.secrets`, as definitions are masked by it too.

A value is looked for as it is and as programs write it elsewhere: escaped by JSON, Python, URLs or HTML, any of them
inside another, in hexadecimal, and in base64, alone or amid other bytes.
"""

import json
import re
import unicodedata
from base64 import b64encode, encodebytes
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from functools import partial
from html import unescape
from itertools import pairwise
from typing import Any
from urllib.parse import unquote, urlsplit

from workflows.secrets import MASK, NAMES, hides, names_secret, plain

__all__ = ["MASK", "NOTHING", "Blindfold", "Scrubber", "at_work", "names_secret", "values_in"]

SHORTEST = 6  # a shorter value would be found in words that mean something else
LINE = 12  # of a value of several lines, a line by itself
MANY = 1_000
MARKS = ("\\", "%", "&")  # what an escape begins with
LAYERS = 6  # of escapes, one inside the other

SCHEME = re.compile(r"(?:basic|bearer|token|digest|negotiate|apikey)\s+(\S.*)", re.IGNORECASE | re.DOTALL)
ESCAPES = re.compile(
    r"\\(?:u\{0*([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|([^\w\s]|[nrtbfv0]))"
    r"|%([0-9a-fA-F]{2})|&#([0-9]{1,7});|&#[xX]([0-9a-fA-F]{1,6});|(&[a-zA-Z]{2,8};)"
)
LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
NESTED = (dict, list, tuple)
IN_NUMBERS = frozenset("0123456789.e+-")
# A quote inside a quoted text: of SQL and CSV, and of a shell, whose second way is read as three quotes.
QUOTES = (("'", "''"), ('"', '""'), ("'", "'\"'\"'"), ("'", "'''"))
OCTAL, LETTER, DECIMAL, NAME = 5, 6, 8, 10  # groups of ESCAPES
BASES = {OCTAL: 8, DECIMAL: 10}

type Span = tuple[int, int]
type Decoder = Callable[[re.Match[str]], str]


def values_in(document: Any, extra: tuple[str, ...] = ()) -> set[str]:
    """What stands under keys that name a secret, at any depth, long enough to be found again."""
    found: set[str] = set()
    if isinstance(document, dict):
        for key, item in document.items():
            if isinstance(key, str) and names_secret(key, extra) and hides(key, item, extra):
                found.update(_leaves(item))
            elif isinstance(item, NESTED):
                found |= values_in(item, extra)
    elif isinstance(document, NESTED):
        for item in document:
            if isinstance(item, NESTED):
                found |= values_in(item, extra)
    return found


class Scrubber:
    """Knows the values of one run. `extra` are names of secrets beside NAMES."""

    def __init__(self, values: Iterable[str] = (), extra: tuple[str, ...] = ()) -> None:
        self.values = frozenset(value for value in values if _is_findable(value))
        self.named = extra
        # (needle, whether a letter to its left and right holds a part of the value too), the longest first
        needles = dict(needle for value in self.values for needle in _needles(value))
        self.needles = sorted(needles.items(), key=lambda needle: -len(needle[0]))
        quick: list[str] = []
        for needle, _partly in reversed(self.needles):
            if not any(shorter in needle for shorter in quick):
                quick.append(needle)
        self._quick = quick
        self._in_numbers = any(set(needle) <= IN_NUMBERS for needle in quick)
        self._keys: dict[str, str] = {}
        self._innocent: set[Any] = set()

    def text(self, text: str) -> str:
        """With the mask in place of each value; values that overlap become one."""
        while self._is_suspect(text) and (spans := self._spans(text)):
            text = _replaced(text, spans)
        return text

    def document(self, value: Any) -> Any:
        """A copy: masked under keys that name a secret, scrubbed everywhere else, in keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, (list, tuple)):  # at a quarter of the price of list | tuple
            return [self.document(item) for item in value]
        if self._in_numbers and isinstance(value, int | float) and not isinstance(value, bool):
            written = repr(value)
            return value if (text := self.text(written)) == written else text
        return value

    def _object(self, value: dict[Any, Any]) -> dict[Any, Any]:
        clean: dict[Any, Any] = {}
        for key, item in value.items():
            if key in self._innocent or self._is_innocent(key):  # as nearly every one is
                clean[key] = item if isinstance(item, str) and not self._is_suspect(item) else self.document(item)
                continue
            name = self._key(key, clean, value)
            clean[name] = self._hidden(item) if hides(key, item, self.named) else self.document(item)
        return clean

    def _is_innocent(self, key: Any) -> bool:
        """It names no secret and holds none. Keys are few, and each comes with every line."""
        innocent = isinstance(key, str) and not names_secret(key, self.named) and self._key(key) == key
        if innocent and len(self._innocent) < MANY:
            self._innocent.add(key)
        return innocent

    def _hidden(self, value: Any) -> Any:
        if isinstance(value, dict):
            clean: dict[Any, Any] = {}
            for key, item in value.items():
                clean[self._key(key, clean, value)] = self._hidden(item)
            return clean
        if isinstance(value, list | tuple):
            return [self._hidden(item) for item in value]
        return value if value is None else MASK

    def _key(self, key: Any, *taken: dict[Any, Any]) -> Any:
        """Two keys that differ in a secret alone stay two; and neither takes the name of one that comes after it."""
        if not self._quick:
            return key
        written = str(key)
        text = self._keys.get(written)  # keys are few, and each comes with every line
        if text is None:
            text = self.text(written)
            if len(self._keys) < MANY:
                self._keys[written] = text
        if text == written or plain(written).removesuffix("s") in NAMES:
            return key  # the latter: a word that everybody knows, even where it is a value too
        name, count = text, 1
        while any(name in names for names in taken):
            count += 1
            name = f"{text} ({count})"
        return name

    def _spans(self, text: str) -> list[Span]:
        """Where there is something to mask that is not masked already."""
        spans = list(self._found(text, range(len(text) + 1)) if self._is_in(text) else ())
        if ("\\" in text or "%" in text or "&" in text) and ESCAPES.search(text):
            spans += self._escaped(text)
        if not spans:
            return spans
        masks = [match.span() for match in re.finditer(re.escape(MASK), text)]
        spans = [span for span in spans if not any(mask[0] <= span[0] and span[1] <= mask[1] for mask in masks)]
        return spans + masks if spans else spans

    def _escaped(self, text: str) -> Iterator[Span]:
        """In what the text says once its escapes are read, one layer of them after the other; and where those of one
        kind are read first: a value may itself look like an escape of another kind, and JSON in HTML ends in both."""
        yield from self._read(text, [_decoded] * LAYERS)
        if sum(mark in text for mark in MARKS) > 1:
            for mark in MARKS:
                yield from self._read(text, [partial(_decoded_of, mark), *[_decoded] * (LAYERS - 1)])

    def _read(self, text: str, decoders: Sequence[Decoder]) -> Iterator[Span]:
        layers = [text]
        for decode in decoders:
            if (decoded := ESCAPES.sub(decode, layers[-1])) == layers[-1]:
                break
            layers.append(decoded)
        if not any(self._is_in(layer) for layer in layers[1:]):
            return
        offsets: Sequence[int] = range(len(text) + 1)
        for (layer, decoded), decode in zip(pairwise(layers), decoders, strict=False):
            offsets = _offsets(layer, offsets, decode)
            yield from self._found(decoded, offsets)

    def _is_suspect(self, text: str) -> bool:
        # The hottest lines of all: any() would take twice as long, and a call of _is_in() counts.
        for needle in self._quick:
            if needle in text:
                return True
        return "\\" in text or "%" in text or ("&" in text and ";" in text)

    def _is_in(self, text: str) -> bool:
        for needle in self._quick:  # noqa: SIM110  # the hottest line of all; any() takes twice as long
            if needle in text:
                return True
        return False

    def _found(self, text: str, offsets: Sequence[int]) -> Iterator[Span]:
        for needle, (left, right) in self.needles:
            at = text.find(needle)
            while at >= 0:
                end = at + len(needle)
                start, stop = max(0, at - left), min(len(text), end + right)
                yield offsets[start], offsets[stop]
                at = text.find(needle, at + 1)


class Blindfold(Scrubber):
    """For texts of a run whose values cannot be known: nothing of them is shown."""

    def text(self, text: str) -> str:
        return MASK

    def _is_suspect(self, text: str) -> bool:
        return True


NOTHING = Scrubber()

# Of the run that the present thread works on, for what is not stored but printed.
at_work: ContextVar[Scrubber | None] = ContextVar("at_work", default=None)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        text = value if isinstance(value, str) else json.dumps(value)
        yield from filter(_is_findable, [text, *_parts(text)])


def _is_findable(value: str) -> bool:
    return len(value) >= SHORTEST and MASK not in value and not value.isspace()


def _parts(value: str) -> Iterator[str]:
    """What of a value is a secret by itself: without the spaces around it, each of its lines, the token after its
    scheme, the password inside an address."""
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


def _needles(value: str) -> Iterator[tuple[str, tuple[int, int]]]:
    whole = (0, 0)
    for form in {value, unicodedata.normalize("NFC", value), unicodedata.normalize("NFD", value)}:
        raw = form.encode("utf-8", "surrogatepass")
        # Escapes are read one by one, as bytes or as halves of a character: these are the same written out so.
        halves = form.encode("utf-16-be", "surrogatepass")
        units = "".join(chr(halves[i] << 8 | halves[i + 1]) for i in range(0, len(halves), 2))
        for text in {form, raw.decode("latin-1"), units}:
            yield text, whole
            yield text.replace(" ", "+"), whole
            for quote, written in QUOTES:
                yield text.replace(quote, written), whole
        yield raw.hex(), whole
        yield raw.hex().upper(), whole
        for shift in range(3):
            yield from _base64(raw, shift)
        if len(lines := encodebytes(raw).decode().splitlines()) > 1:
            yield from ((line, whole) for line in lines if len(line) >= LINE)


def _base64(raw: bytes, shift: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """The letters that depend on `raw` alone where `shift` bytes stand before it in a group of three."""
    bits = 8 * (shift + len(raw))
    first, last = -(-8 * shift // 6), bits // 6
    for letters in (b"+/", b"-_"):
        text = b64encode(bytes(shift) + raw, letters).decode()[first:last]
        yield text, (int(shift > 0), int(bits % 6 > 0))


def _decoded(escape: re.Match[str]) -> str:
    kind = escape.lastindex or 0
    text = escape[kind]
    if kind == NAME:
        return unescape(text)
    if kind == LETTER:
        return LETTERS.get(text, text)
    code = int(text, BASES.get(kind, 16))
    return chr(code) if code <= 0x10FFFF else escape[0]  # Unicode ends there


def _decoded_of(mark: str, escape: re.Match[str]) -> str:
    return _decoded(escape) if escape[0].startswith(mark) else escape[0]


def _offsets(text: str, offsets: Sequence[int], decode: Decoder) -> list[int]:
    """Of each character that the decoded text has, and of its end, the place in the text at the bottom."""
    places: list[int] = []
    at = 0
    for escape in ESCAPES.finditer(text):
        places += offsets[at : escape.start()]
        places += [offsets[escape.start()]] * len(decode(escape))
        at = escape.end()
    return places + list(offsets[at:])


def _replaced(text: str, spans: Iterable[Span]) -> str:
    pieces: list[str] = []
    at = 0
    for start, end in _merged(spans):
        pieces += [text[at:start], MASK]
        at = end
    return "".join(pieces) + text[at:]


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    ordered = sorted(spans)
    start, end = ordered[0]
    for left, right in ordered[1:]:
        if left < end:
            end = max(end, right)
        else:
            yield start, end
            start, end = left, right
    yield start, end
