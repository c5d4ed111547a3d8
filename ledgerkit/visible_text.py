"""Characters that are no text, made visible: control characters, those that turn the direction of the text around them,
and those that take no room and join nothing. Every page passes here on its way out, so that no template has to think of
them."""

import re

SIGNS = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e"
    r"\u2060-\u2064\u2066-\u2069\u3164\ufeff\uffa0]"
)
SIGN = re.compile(SIGNS)
# What a form sends back has to stay as it is: a value, and what stands between these two.
VALUE_OR_SIGN = re.compile(rf'\bvalue="[^"]*"|{SIGNS}')
BEGIN, END = "<textarea", "</textarea>"
DELETE = 0x7F


def show_hidden_characters(text: str) -> str:
    """Return the text with each such character shown: as Unicode's picture of it, or by its number."""
    return SIGN.sub(lambda found: picture_of(found[0]), text)


def show_on_page(html: str) -> str:
    """Return the page with them shown, but for what stands in the fields of its forms."""
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
