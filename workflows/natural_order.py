"""Natural order of names: "n2" before "n10"."""

import re

NUMBERS = re.compile(r"([0-9]+)")

type NaturalKey = tuple[list[str | tuple[int, str]], str]


def natural_key(name: str) -> NaturalKey:
    """Return the key to sort a name by. Texts and numbers alternate in the key, so that a text is compared with a text.
    A number is compared by its length first, which needs no int() of unbounded size."""
    parts = NUMBERS.split(name.casefold())
    return [_number(part) if place % 2 else part for place, part in enumerate(parts)], name


def _number(digits: str) -> tuple[int, str]:
    significant = digits.lstrip("0")
    return len(significant), significant
