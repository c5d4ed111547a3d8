"""Convert log messages to HTML: ANSI colours become classes, control characters visible signs, matches <mark>."""

import re
from collections.abc import Iterator
from html import escape

from django.utils.safestring import SafeString, mark_safe

COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
STYLES = {1: "bold", 2: "faint", 3: "italic", 4: "underline"}
ENDS = {22: ("bold", "faint"), 23: ("italic",), 24: ("underline",)}
DEFAULT_COLOUR = 39
EXTENDED = {38, 48}  # 256-colour and RGB sequences, whose parameters follow; ignored
NOT_TEXT = re.compile(
    r"\x1b\[(?P<style>[0-9;:]*)m"
    r"|(?P<other>\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b[()][0-9A-Za-z])"  # moves, titles
    r"|(?P<sign>[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])"
)


def to_html(text: str, q: str = "") -> SafeString:
    """Return `text` as escaped HTML, with each occurrence of `q` in <mark>, ignoring case."""
    find = re.compile(re.escape(q), re.IGNORECASE) if q else None
    if not NOT_TEXT.search(text):
        return mark_safe(_with_marks(text, find))  # noqa: S308  # escaped there
    return mark_safe("".join(_pieces(text, find)))  # noqa: S308  # as above


def strip_ansi(text: str) -> str:
    """Return the text without ANSI escape sequences."""
    return NOT_TEXT.sub(lambda found: found["sign"] or "", text) if "\x1b" in text else text


def _pieces(text: str, find: re.Pattern[str] | None) -> Iterator[str]:
    styles: dict[str, str] = {}
    position = 0
    for match in NOT_TEXT.finditer(text):
        yield _with_style(_with_marks(text[position : match.start()], find), styles)
        position = match.end()
        if match["style"] is not None:
            styles = _styles_after(match["style"], styles)
        elif match["sign"]:
            yield _render_sign(match["sign"])
    yield _with_style(_with_marks(text[position:], find), styles)


def _with_style(piece: str, styles: dict[str, str]) -> str:
    return f'<span class="{" ".join(styles.values())}">{piece}</span>' if piece and styles else piece


def _styles_after(codes: str, styles: dict[str, str]) -> dict[str, str]:
    """Return the CSS classes in effect after a sequence: at most one colour, and any of STYLES."""
    styles = dict(styles)
    for code in (int(each) if each.isdigit() and len(each) < 4 else 0 for each in codes.split(";")):
        if code in EXTENDED:
            break
        if code == 0:
            styles.clear()
        elif code in STYLES:
            styles[STYLES[code]] = f"ansi-{STYLES[code]}"
        elif 30 <= code <= 37 or 90 <= code <= 97:
            styles["colour"] = f"ansi-{COLOURS[code % 10]}"
        for ended in ENDS.get(code, ("colour",) if code == DEFAULT_COLOUR else ()):
            styles.pop(ended, None)
    return styles


def _with_marks(text: str, find: re.Pattern[str] | None) -> str:
    if find is None:
        return escape(text)
    pieces, position = [], 0
    for match in find.finditer(text):
        pieces += [escape(text[position : match.start()]), f"<mark>{escape(match[0])}</mark>"]
        position = match.end()
    return "".join([*pieces, escape(text[position:])])


def _render_sign(sign: str) -> str:
    """Render a control character as its Unicode control picture, or as its code point if there is none."""
    code = ord(sign)
    picture = chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else f"U+{code:04X}"
    return f'<span class="log-sign" title="U+{code:04X}">{picture}</span>'
