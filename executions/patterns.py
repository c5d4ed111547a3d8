"""What in a text is a secret by the words before it, as `password=...`, `"api_key": "..."`, `Bearer ...`. Pure.

Each pattern begins where a word begins, and takes a bounded number of characters without coming back to them: one walk.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from workflows.secrets import COUNTS, names_secret, plain

from .matching import Span

# Some of them stand in every name that workflows.secrets knows: `in` is faster than the patterns.
STEMS = (
    "pass", "pwd", "token", "secret", "key", "auth", "cred", "cookie", "bearer", "jwt", "sessi", "otp", "pin", "sign",
    "dsn", "connection",
)  # fmt: skip
SHAPES = re.compile(
    r"\b(?:(?:bearer|basic)\s{1,4}(?P<scheme>[\w.~+/=-]{8,})"  # of HTTP's Authorization
    r"|ptl_[\w-]{20,}|(?<![\w-])eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+\.[\w-]+)",  # a token of the API, and a JSON Web Token
    re.IGNORECASE,
)
USERINFO = re.compile(r"(?<=://)[^\s/:@?#\"'<>]{0,256}+:([^\s/?#\"'<>]{1,256})@")
KEYED = re.compile(
    r"(?<![\w.-])(?P<key>[\w.-]{2,80}+)(?P<closing>\\{0,16}+[\"'])?\s{0,8}+(?P<sign>=>|:=|=(?!=)|:(?![:/]))\s{0,8}+"
    r"(?P<quote>\\{0,16}+[\"'])?",
)
WORD = re.compile(
    r"(?:(?:basic|bearer|token|digest|negotiate|apikey)\s{1,4}+)?[^\s,;&\"'<>(){}\[\]|\\]++", re.IGNORECASE
)
QUOTE = re.compile(r"(?<!\\)(\\*+)([\"'])")
END_OF_LINE = re.compile(r"[^\r\n]*+")
HEADERS = {"authorization", "proxyauthorization", "cookie", "setcookie"}
LONGEST_ORDINARY = 100  # characters; a longer word is masked whole, so none is read again for each key inside it
NO_VALUES = {"none", "null", "true", "false", "nil", "undefined"}
PROSE = re.compile(r"[A-Za-z]?[a-z]*[.!?:]*|[A-Z]+")  # such as: "password: invalid", "Unexpected token: EOF"


@lru_cache(8)
def _stems(extra: tuple[str, ...]) -> tuple[str, ...]:
    """Return STEMS and, of each of a setting's names, the longest row of letters, however a text parts the words."""
    names = [name.casefold() for name in extra if plain(name)]
    return (*STEMS, *(max(re.findall(r"[^\W\d_]+", name), key=len, default="") for name in names))


def may_hold(text: str, extra: tuple[str, ...] = ()) -> bool:
    """Return False for nearly every text, at little cost. Digits in the text make no difference to the answer False."""
    if "=" in text or ":" in text:
        lowered = text.lower()
        for stem in _stems(extra) if extra else STEMS:  # any() takes twice as long
            if stem in lowered:
                return True
        if "://" in text and "@" in text:
            return True
    return "earer " in text or "asic " in text or "ptl_" in text or "eyJ" in text


def is_clear(text: str, extra: tuple[str, ...] = ()) -> bool:
    return not (may_hold(text, extra) and any(True for _span in spans(text, extra)))


def spans(text: str, extra: tuple[str, ...] = ()) -> Iterator[Span]:
    for match in SHAPES.finditer(text):
        if not (match["scheme"] and PROSE.fullmatch(match["scheme"])):
            yield match.span("scheme") if match["scheme"] else match.span()
    for match in USERINFO.finditer(text):
        yield match.span(1)
    yield from _keyed(text, extra)


def _keyed(text: str, extra: tuple[str, ...]) -> Iterator[Span]:
    at, line_ends = 0, -1
    while match := KEYED.search(text, at):
        at = max(match.end("sign"), at + 1)
        if not names_secret(match["key"].lstrip("-"), extra):
            continue
        if line_ends < match.end():  # looked for once a line: there may be thousands of keys in one
            line_ends = END_OF_LINE.match(text, match.end()).end()  # type: ignore[union-attr]  # it matches nothing too
        if found := _value(text, match, line_ends):
            yield found
            at = found[1]


def _value(text: str, match: "re.Match[str]", line_ends: int) -> Span | None:
    """None where it is no secret: a number of tokens, or what a program calls it."""
    if match["quote"]:
        start, end = match.end(), _end_of_quoted(text, match, line_ends)
        return (start, end) if start < end else None
    key = plain(match["key"])
    if key in HEADERS and match["sign"] == ":" and not match["closing"]:
        return (match.end(), line_ends) if match.end() < line_ends else None
    if (value := WORD.match(text, match.end())) is None or _is_ordinary(key, value[0], match):
        return None
    return value.span()


def _is_ordinary(key: str, word: str, match: "re.Match[str]") -> bool:
    if len(word) > LONGEST_ORDINARY:
        return False
    if word.casefold() in NO_VALUES or plain(word.rpartition(".")[2]) == key:
        return True
    if match["sign"] == ":" and not match["closing"] and PROSE.fullmatch(word):
        return True
    return word.isdigit() and bool(COUNTS.search(key))


def _end_of_quoted(text: str, match: "re.Match[str]", line_ends: int) -> int:
    """Where the same quote comes again, escaped no more often; else the end of the line: it may be cut off."""
    for quote in QUOTE.finditer(text, match.end(), line_ends):
        if quote[2] == match["quote"][-1] and len(quote[1]) < len(match["quote"]):
            return quote.start()
    return line_ends
