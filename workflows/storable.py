"""What PostgreSQL, and other readers of JSON, can keep."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError

MAX_DEPTH = 64


def as_text(text: object) -> str:
    """NUL and halves of surrogate pairs become visible escapes: an error is recorded even if it is not quite text."""
    return str(text).replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def check(field: str, value: Any) -> None:
    """Raises ValidationError on `field`, naming the place, for what faults() finds in it."""
    for pointer, fault in faults(value):
        raise ValidationError({field: f"{field}{pointer.replace('/', '.')}: {fault}"})


def faults(value: Any, pointer: str = "", depth: int = 1) -> Iterator[tuple[str, str]]:
    """NUL characters, lone surrogates, more than 64 levels, and numbers that JSON does not have (NaN, Infinity), each
    with the JSON pointer of its place."""
    if isinstance(value, str):
        if fault := _text_fault(value):
            yield pointer, fault
    elif isinstance(value, float):
        if value - value != 0:  # NaN and the infinities
            yield pointer, "expected a finite number."
    elif isinstance(value, dict | list | tuple):
        yield from _inside(value, pointer, depth)


def _inside(value: dict[Any, Any] | list[Any] | tuple[Any, ...], pointer: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > MAX_DEPTH:
        yield pointer[:200], f"nested deeper than {MAX_DEPTH} levels."
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str) and (fault := _text_fault(key)):
            yield pointer, f"a key: {fault}"
        if not isinstance(item, bool | int | None):
            yield from faults(item, f"{pointer}/{key}", depth + 1)


def _text_fault(text: str) -> str:
    if "\x00" in text:
        return "the character NUL (\\u0000) cannot be stored."
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        return "a lone surrogate (\\ud800 to \\udfff) is not text."
    return ""
