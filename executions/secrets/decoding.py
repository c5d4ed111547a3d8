"""Decoding of escapes, and removal of line breaks and colours, with the positions in the original text. No database
access."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html import unescape

MARKS = ("\\", "%", "&")  # first characters of escapes
LAYERS = 6  # nested escapes that are decoded

ESCAPES = re.compile(
    r"\\(?:u\{0*([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|([^\w\s]|[nrtbfv0]))"
    r"|%([0-9a-fA-F]{2})|&#([0-9]{1,7});|&#[xX]([0-9a-fA-F]{1,6});|(&[a-zA-Z]{2,8};)"
)
BREAKS = re.compile(r"=?\r?\n[ \t]*+|\x1b\[[0-?]*+[ -/]*+[@-~]")  # line breaks ("=" in quoted-printable), colour codes
LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
OCTAL, LETTER, DECIMAL, NAME = 5, 6, 8, 10  # groups of ESCAPES
BASES = {OCTAL: 8, DECIMAL: 10}

type Decoder = Callable[[re.Match[str]], str]
type Step = tuple[re.Pattern[str], Decoder]
type Offsets = Sequence[int]


class Reading:
    """A text after some decoding steps. `offsets()` maps each position, including the end, to the original text. They
    are computed on demand, as few texts contain a secret."""

    def __init__(self, text: str, below: "Reading | None" = None, step: "Step | None" = None) -> None:
        self.text, self.below, self.step = text, below, step
        self._offsets: Offsets | None = None

    def after(self, step: "Step") -> "Reading | None":
        """Return the decoded reading, or None if the step changes nothing."""
        text = step[0].sub(step[1], self.text)
        return None if text == self.text else Reading(text, self, step)

    def offsets(self) -> Offsets:
        if self._offsets is None:
            if self.below is None or self.step is None:
                self._offsets = range(len(self.text) + 1)
            else:
                self._offsets = _places(self.below.text, self.below.offsets(), *self.step)
        return self._offsets


def readings(text: str) -> Iterator[Reading]:
    """Yield the text decoded layer by layer, and again with each kind of escape decoded first, because a value may look
    like an escape of another kind, and JSON in HTML ends in both. Each text is also yielded without line breaks and
    colours."""
    bottom = Reading(text)
    yield from _join_lines(bottom)
    if ("\\" in text or "%" in text or "&" in text) and ESCAPES.search(text):
        yield from _layers(bottom, [EVERY] * LAYERS)
        if sum(mark in text for mark in MARKS) > 1:
            for mark in MARKS:
                yield from _layers(bottom, [(ESCAPES, partial(_decoded_of, mark)), *[EVERY] * (LAYERS - 1)])


def _layers(reading: Reading | None, steps: "Sequence[Step]") -> Iterator[Reading]:
    for step in steps:
        reading = reading and reading.after(step)
        if reading is None:
            return
        yield reading
        yield from _join_lines(reading)
        if (
            "\\" in reading.text
            and ("%" in reading.text or "&" in reading.text)
            and (other := reading.after(BACKSLASHED))
        ):
            yield other


def _join_lines(reading: Reading) -> Iterator[Reading]:
    if ("\n" in reading.text or "\x1b" in reading.text) and (joined := reading.after(JOINED)):
        yield joined


def _decode_escapes(escape: re.Match[str]) -> str:
    kind = escape.lastindex or 0
    text = escape[kind]
    if kind == NAME:
        return unescape(text)
    if kind == LETTER:
        return LETTERS.get(text, text)
    code = int(text, BASES.get(kind, 16))
    return chr(code) if code <= 0x10FFFF else escape[0]  # the last code point of Unicode


def _decoded_of(mark: str, escape: re.Match[str]) -> str:
    return _decode_escapes(escape) if escape[0].startswith(mark) else escape[0]


def _nothing(_break: re.Match[str]) -> str:
    return ""


EVERY: Step = (ESCAPES, _decode_escapes)
BACKSLASHED: Step = (ESCAPES, partial(_decoded_of, "\\"))
JOINED: Step = (BREAKS, _nothing)


def _places(text: str, offsets: Offsets, pattern: re.Pattern[str], decode: Decoder) -> list[int]:
    places: list[int] = []
    at = 0
    for escape in pattern.finditer(text):
        places += offsets[at : escape.start()]
        places += [offsets[escape.start()]] * len(decode(escape))
        at = escape.end()
    return places + list(offsets[at:])
