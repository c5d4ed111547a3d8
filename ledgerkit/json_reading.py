"""Parse a caller's JSON; each error is one sentence."""

import json
from collections.abc import Callable
from typing import Any

from ledgerkit.db.json_validation import MAX_DEPTH

type Pairs = list[tuple[str, object]]


class NotJson(ValueError):
    """Text that is not JSON in UTF-8 (RFC 8259). The message is a sentence about `noun`."""


def read(
    text: bytes,
    noun: str = "body",
    make_object: Callable[[Pairs], object] | None = None,
    parse_int: Callable[[str], float] | None = None,
) -> Any:
    """Return the value of the text, after an optional byte order mark. `make_object` returns an object for the pairs of
    names and values that it has. A whole number of more than 4300 digits, which Python does not read, is infinite.
    Raises NotJson."""
    try:
        # Of bytes it would read UTF-16 too.
        return json.loads(text.decode("utf-8-sig"), object_pairs_hook=make_object, parse_int=parse_int)
    except UnicodeDecodeError as error:
        raise NotJson(f"The {noun} is not UTF-8: byte {error.start + 1} is 0x{text[error.start]:02x}.") from None
    except RecursionError:
        raise NotJson(f"The {noun} is nested deeper than {MAX_DEPTH} levels.") from None
    except json.JSONDecodeError as error:
        raise NotJson(f"The {noun} is not JSON: {error}.") from None
    except ValueError:  # of such a number: once more, so that its place is found
        return read(text, noun, make_object, _whole)


def _whole(digits: str) -> float:
    try:
        return int(digits)
    except ValueError:
        return float("-inf" if digits.startswith("-") else "inf")
