"""JSON that the ledger can store: what PostgreSQL or another reader of JSON could not take is refused at the door."""

from collections.abc import Iterator
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MAX_DEPTH = 64


class StorableJSONParser(JSONParser):
    """REST framework's parser. Raises ParseError, naming the place, for NUL characters, lone surrogates, more than 64
    levels, and numbers that JSON does not have (NaN, Infinity, or so large that they become one)."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
        for pointer, fault in _faults(data):
            raise ParseError(f"{pointer or 'The body'}: {fault}")
        return data


def _faults(value: Any, pointer: str = "", depth: int = 1) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if fault := _text_fault(value):
            yield pointer, fault
    elif isinstance(value, float):
        if value - value != 0:  # NaN and the infinities
            yield pointer, "this number is too large."
    elif isinstance(value, dict | list):
        yield from _inside(value, pointer, depth)


def _inside(value: dict[str, Any] | list[Any], pointer: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > MAX_DEPTH:
        yield pointer[:200], f"nested deeper than {MAX_DEPTH} levels."
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str) and (fault := _text_fault(key)):
            yield pointer, f"a key: {fault}"
        yield from _faults(item, f"{pointer}/{key}", depth + 1)


def _text_fault(text: str) -> str:
    if "\x00" in text:
        return "the character NUL (\\u0000) cannot be stored."
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        return "a lone surrogate (\\ud800 to \\udfff) is not text."
    return ""
