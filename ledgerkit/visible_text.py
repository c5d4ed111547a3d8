"""Visible placeholders for control characters, bidirectional controls and invisible characters. Applied to every
rendered page, so that templates need not handle them."""

import re

SIGNS = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e"
    r"\u2060-\u2064\u2066-\u2069\u3164\ufeff\uffa0]"
)
SIGN = re.compile(SIGNS)
# Form values must stay unchanged: value attributes, and the content of a textarea.
VALUE_OR_SIGN = re.compile(rf'\bvalue="[^"]*"|{SIGNS}')
BEGIN, END = "<textarea", "</textarea>"
DELETE = 0x7F


def show_on_page(html: str) -> str:
    """Return the HTML with each such character replaced by its Unicode picture or its code point, except in the values
    of form fields."""
    return END.join(map(_around_a_field, html.split(END)))


def _around_a_field(html: str) -> str:
    before, begin, typed = html.partition(BEGIN)
    shows = VALUE_OR_SIGN.sub(lambda found: picture_of(found[0]) if len(found[0]) == 1 else found[0], before)
    return f"{shows}{begin}{typed}"


def picture_of(sign: str) -> str:
    code = ord(sign)
    if code < ord(" "):
        return chr(0x2400 + code)
    return "\u2421" if code == DELETE else f"\u27e8U+{code:04X}\u27e9"
