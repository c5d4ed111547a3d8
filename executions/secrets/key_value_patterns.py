"""Find secrets in a text by the words before them: `password=...`, `"api_key": "..."`, `Bearer ...`. No database
access.

Each pattern starts at the beginning of a word and consumes a bounded number of characters without backtracking, so a
search is one pass.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from workflows.secret_keys import COUNTS, NO_VALUES, is_small, names_secret, normalize_key

from . import token_patterns
from .string_search import Span

# Every name that workflows.secret_keys knows contains one of them. `in` is faster than the patterns.
STEMS = (
    "pass", "pwd", "token", "secret", "key", "auth", "cred", "cookie", "bearer", "jwt", "sessi", "otp", "pin", "sign",
    "dsn", "connection", *token_patterns.COMMANDS,
)  # fmt: skip
KOREAN = ("비밀", "암호", "토큰", "인증키", "접속키")
SCHEME = re.compile(r"\b(?:bearer|basic)\s{1,4}(?!--)([\w.~+/=-]{8,})", re.IGNORECASE)  # HTTP Authorization header
PLACE = re.compile(r"(?:next|page|다음)\s\Z", re.IGNORECASE)  # `next token: ...` is pagination, not a secret
USERINFO = re.compile(r"(?<=://)[^\s/:@?#\"'<>]{0,256}+:([^\s/?#\"'<>]{1,256})@")
KEYED = re.compile(
    r"(?<![\w.-])(?P<key>[\w.-]{2,80}+)(?P<closing>\\{0,16}+[\"'])?\s{0,8}+(?P<sign>=>|:=|=(?!=)|:(?![:/]))\s{0,8}+"
    r"(?P<quote>\\{0,16}+[\"'])?",
)
# The sign is the space after an option, as in `--password hunter2` and `["--password", "hunter2"]`.
OPTION = re.compile(
    r"(?<![\w-])--?(?P<key>[^\W\d_][\w.-]{1,80}+)(?P<closing>\\{0,16}+[\"'])?,?(?P<sign>[ \t])[ \t]{0,8}+"
    r"(?P<quote>\\{0,16}+[\"'])?+(?!--|-[a-zA-Z]\b)"
)
WORD = re.compile(
    r"(?:(?:basic|bearer|token|digest|negotiate|apikey)\s{1,4}+(?!-))?[^\s,;&\"'<>(){}\[\]|\\]++", re.IGNORECASE
)
QUOTE = re.compile(r"(?<!\\)(\\*+)([\"'])")
END_OF_LINE = re.compile(r"[^\r\n]*+")
PLACED = {"token", "tokens", "토큰"}
HEADERS = {"authorization", "proxyauthorization", "cookie", "setcookie"}
LONGEST_ORDINARY = 100  # characters; a longer word is masked whole, so none is read again for each key inside it
# Words that follow an option in prose, and authentication schemes.
SENTENCE = re.compile(
    r"(?:is|are|was|were|has|have|must|may|might|can|cannot|should|will|would|needs?|requires?|required|expects?|takes?|or"
    r"|and|not|for|to|from|in|on|of|with|without|instead|option|flag|argument|parameter|value|given|missing|if|when|then"
    r"|but|by|as|at|it|the|a|an|basic|bearer|digest|oauth2?)[.:!?]?",
    re.IGNORECASE,
)
PROSE = re.compile(
    r"[A-Za-z]?[a-z]*[.!?:]*|[A-Z]+|[가-힣]+[.!?:]*"
)  # as in "password: invalid", "Unexpected token: EOF"


@lru_cache(8)
def _stems(extra: tuple[str, ...]) -> tuple[str, ...]:
    """Return STEMS and the longest run of letters of each additional name, because texts separate the words in several
    ways."""
    names = [name.casefold() for name in extra if normalize_key(name)]
    return (*STEMS, *(max(re.findall(r"[^\W\d_]+", name), key=len, default="") for name in names))


def may_hold(text: str, extra: tuple[str, ...] = ()) -> bool:
    """Return False, cheaply, for nearly every text without a secret. Digits in the text do not affect the result
    False."""
    if "=" in text or ":" in text or "-" in text:
        lowered = text.lower()
        for stem in _stems(extra) if extra else STEMS:  # any() takes twice as long
            if stem in lowered:
                return True
        if "://" in text and "@" in text:
            return True
    for start in token_patterns.STARTS:
        if start in text:
            return True
    if "earer " in text or "asic " in text:
        return True
    return not text.isascii() and any(name in text for name in KOREAN)


def is_clear(text: str, extra: tuple[str, ...] = ()) -> bool:
    return not (may_hold(text, extra) and any(True for _span in spans(text, extra)))


def spans(text: str, extra: tuple[str, ...] = ()) -> Iterator[Span]:
    for match in SCHEME.finditer(text):
        if not PROSE.fullmatch(match[1]):
            yield match.span(1)
    yield from token_patterns.spans(text)
    for match in USERINFO.finditer(text):
        yield match.span(1)
    yield from _find_keyed_values(KEYED, text, extra)
    if "-" in text:
        yield from _find_keyed_values(OPTION, text, extra)


def _find_keyed_values(pattern: re.Pattern[str], text: str, extra: tuple[str, ...]) -> Iterator[Span]:
    at, line_ends = 0, -1
    while match := pattern.search(text, at):
        at = max(match.end("sign"), at + 1)
        if not names_secret(match["key"].lstrip("-"), extra) or _is_place(text, match):
            continue
        if line_ends < match.end():  # searched once per line, which may contain thousands of keys
            line_ends = END_OF_LINE.match(text, match.end()).end()  # type: ignore[union-attr]  # END_OF_LINE also matches an empty text
        if found := _value(text, match, line_ends):
            yield found
            at = found[1]


def _is_place(text: str, match: "re.Match[str]") -> bool:
    """Return whether the match is a pagination token, which is no secret."""
    return (
        normalize_key(match["key"]) in PLACED
        and PLACE.search(text, max(0, match.start() - 8), match.start()) is not None
    )


def _value(text: str, match: "re.Match[str]", line_ends: int) -> Span | None:
    """Return the span of the value, or None if it is not a secret but a count of tokens or the name of a variable."""
    if match["quote"]:
        start, end = match.end(), _end_of_quoted(text, match, line_ends)
        return (start, end) if start < end else None
    key = normalize_key(match["key"])
    if key in HEADERS and match["sign"] == ":" and not match["closing"]:
        return (match.end(), line_ends) if match.end() < line_ends else None
    if (value := WORD.match(text, match.end())) is None or _is_ordinary(key, value[0], match):
        return None
    return value.span()


def _is_ordinary(key: str, word: str, match: "re.Match[str]") -> bool:
    if len(word) > LONGEST_ORDINARY:
        return False
    if word.casefold() in NO_VALUES or is_small(word) or normalize_key(word.rpartition(".")[2]) == key:
        return True
    if match["sign"] == ":" and not match["closing"] and PROSE.fullmatch(word):
        return True
    if match["sign"].isspace() and SENTENCE.fullmatch(word):
        return True
    return word.isdigit() and bool(COUNTS.search(key))


def _end_of_quoted(text: str, match: "re.Match[str]", line_ends: int) -> int:
    """Return the position of the closing quote, which is escaped no more often than the opening one; else the end of
    the line, as the text may have been cut."""
    for quote in QUOTE.finditer(text, match.end(), line_ends):
        if quote[2] == match["quote"][-1] and len(quote[1]) < len(match["quote"]):
            return quote.start()
    return line_ends
