"""The forms in which a secret value occurs in a text: unchanged, or encoded as programs do. No database access."""

import re
import sys
import unicodedata
from base64 import b32encode, b64encode
from collections.abc import Iterable, Iterator
from quopri import encodestring
from typing import Literal

from .string_search import Matcher, Span

PIECE = 64  # characters; a longer value is searched for piece by piece
HEAD = 24  # bytes whose encoding is searched for; the rest of the same run of letters belongs to it
MOST_MARKS = 30  # combining characters in a row, as in Stream-Safe Text (UAX 15): sorting more takes quadratic time
SHORTEST_CODE = 6  # characters of an encoding; a shorter one would match ordinary words

# How a quote is written inside a quoted text: in SQL and CSV, and in a shell. The last form is how a reader of quotes
# sees the one before.
QUOTES = (("'", "''"), ('"', '""'), ("'", "'\"'\"'"), ("'", "'''"))
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
IN_RUN = bytes(ord("w") if byte in LETTERS else ord(" ") for byte in range(256))
SIX_PAIRS = b"ww ww ww ww ww ww"
PAIRS = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{2}(?:[ :.=-][0-9A-Fa-f]{2}){5,}+")
NO_DIGITS = str.maketrans("", "", " :.=-")
REST = re.compile("[A-Za-z0-9+/_-]*={0,2}")
PARTS = re.compile(r"[A-Za-z0-9+]*\Z")


class Needles:
    """The strings to search for: the values themselves, and their encodings inside runs of letters and digits."""

    def __init__(self, values: Iterable[str]) -> None:
        values = list(values)
        self.plain = Matcher(needle for value in values for needle in _plain(value))
        encoded = (needle for value in values for needle in _encoded_forms(value))
        self.encoded = Matcher(needle for needle in encoded if len(needle) >= SHORTEST_CODE)
        self.shortest_run = min(map(len, self.encoded.needles), default=sys.maxsize)
        self._run = b"w" * self.shortest_run if self.encoded.needles else b" "

    def is_in(self, text: str) -> bool:
        return self.plain.is_in(text) or (len(text) >= self.shortest_run and self.is_encoded_in(text))

    def is_encoded_in(self, text: str) -> bool:
        """Return whether an encoded form is in the text. Nearly no text has a run of letters that is long enough to
        need a search."""
        runs = text.encode("utf-8", "surrogatepass").translate(IN_RUN)
        if self._run in runs:
            return self.encoded.is_in(text) or any(True for _span in self._pairs(text))
        return SIX_PAIRS in runs and any(True for _span in self._pairs(text))

    def spans(self, text: str) -> Iterator[Span]:
        yield from self.plain.spans(text)
        if len(text) >= self.shortest_run and self.is_encoded_in(text):
            yield from self._whole(text)
            yield from self._pairs(text)

    def _whole(self, text: str) -> Iterator[Span]:
        """Extend a match to the letters before it that encode a part of the value too, and to the rest of the run."""
        done = 0
        for start, end in sorted(self.encoded.spans(text)):
            if end > done:
                begin = start - len(PARTS.search(text[max(0, start - 2) : start])[0])  # type: ignore[index]  # PARTS matches every text
                done = REST.match(text, end).end()  # type: ignore[union-attr]  # REST also matches an empty text
                yield begin, done

    def _pairs(self, text: str) -> Iterator[Span]:
        """Yield values written as pairs of hexadecimal digits: `68 75 6e`, `68:75:6e` or `=68=75=6e`
        (quoted-printable)."""
        for match in PAIRS.finditer(text):
            if self.encoded.is_in(match[0].translate(NO_DIGITS)):
                yield match.span()


def _plain(value: str) -> Iterator[str]:
    for form in {value, normal("NFC", value), normal("NFD", value)}:
        raw = form.encode("utf-8", "surrogatepass")
        # Escapes are decoded one by one, as bytes or UTF-16 units. These are the values decoded in that way.
        halves = form.encode("utf-16-be", "surrogatepass")
        units = "".join(chr(halves[i] << 8 | halves[i + 1]) for i in range(0, len(halves), 2))
        quoted_printable = encodestring(raw).replace(b"=\n", b"").decode()  # decoding.py removes its line breaks
        for text in {form, raw.decode("latin-1"), units, quoted_printable}:
            yield from _pieces(text)
            yield from _pieces(text.replace(" ", "+"))
            for quote, written in QUOTES:
                yield from _pieces(text.replace(quote, written))


def _pieces(text: str) -> Iterator[str]:
    """Split a long text into pieces of equal length; the last two may overlap."""
    if len(text) <= PIECE:
        yield text
        return
    for at in range(0, len(text), PIECE):
        begin = min(at, len(text) - PIECE)
        piece = text[begin : begin + PIECE]
        if not piece.isspace():
            yield piece


def _encoded_forms(value: str) -> Iterator[str]:
    for form in {value, normal("NFC", value), normal("NFD", value)}:
        raw = form.encode("utf-8", "surrogatepass")
        for at in range(0, max(1, len(raw) - HEAD + 1), HEAD):
            yield from _encodings(raw[at : at + HEAD])
        yield from _rare_encodings(raw[:HEAD])


def _encodings(raw: bytes) -> Iterator[str]:
    yield raw.hex()
    yield raw.hex().upper()
    for text in _base64(raw):
        yield text
        yield text.replace("+", "-").replace("/", "_")


def _rare_encodings(raw: bytes) -> Iterator[str]:
    for text in _base64(raw):
        yield from _base64(text.encode())
    for shift in range(5):
        yield _amid(b32encode(bytes(shift) + raw).decode(), shift, len(raw), 5)


def _base64(raw: bytes) -> Iterator[str]:
    for shift in range(3):
        yield _amid(b64encode(bytes(shift) + raw).decode(), shift, len(raw), 6)


def _amid(text: str, shift: int, size: int, bits: int) -> str:
    """Return the characters of an encoding (`bits` each) that depend only on the `size` bytes after the first `shift`
    bytes."""
    return text[-(-8 * shift // bits) : 8 * (shift + size) // bits]


def normal(form: Literal["NFC", "NFD"], text: str) -> str:
    """Return unicodedata.normalize() in linear time. A text with very many combining characters in a row is returned
    unchanged."""
    if text.isascii() or _has_many_marks(text):
        return text
    return unicodedata.normalize(form, text)


def _has_many_marks(text: str) -> bool:
    marks = {char for char in set(text) if unicodedata.combining(unicodedata.normalize("NFD", char)[-1])}
    row = 0
    for char in text if marks else "":
        row = row + 1 if char in marks else 0
        if row > MOST_MARKS:
            return True
    return False
