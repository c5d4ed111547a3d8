"""A large body of a request, masked before the request has a connection or a transaction for what it stores.

What is stored passes masking.mask() all the same: it finds here what was masked already, of which secrets, and masks
again only where the run has learnt more since.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from .secrets import Scrubber


@dataclass(frozen=True)
class MaskedBody:
    """Values at the top of the body, or of each item of a list: what was sent for each text, by the masked one, and for
    each document, by the id of the masked one, which stands beside it."""

    scrubber: Scrubber
    found: frozenset[str]
    texts: Mapping[str, str]
    documents: Mapping[int, tuple[Any, object]]

    def holds(self, value: object) -> bool:
        return value in self.texts if isinstance(value, str) else id(value) in self.documents

    def sent(self, value: Any) -> object:
        return self.texts[value] if isinstance(value, str) else self.documents[id(value)][1]


_masked: ContextVar[MaskedBody | None] = ContextVar("masked_body", default=None)


@contextmanager
def forget_after_request() -> Iterator[None]:
    before = _masked.set(None)
    try:
        yield
    finally:
        _masked.reset(before)


def remember(sent: object, body: Any, scrubber: Scrubber, found: frozenset[str]) -> None:
    """`body` is what was sent, clear of what `scrubber` knows; `found` are values that stood in it."""
    texts: dict[str, str] = {}
    documents: dict[int, tuple[object, object]] = {}
    for before, item in zip(_items(sent), _items(body), strict=True):
        for value, clean in zip(before.values(), item.values(), strict=True):
            if isinstance(clean, str):
                texts[clean] = value
            else:
                documents[id(clean)] = (clean, value)
    _masked.set(MaskedBody(scrubber, found, texts, documents))


def _items(body: object) -> list[dict[str, Any]]:
    return [item for item in (body if isinstance(body, list) else [body]) if isinstance(item, dict)]


def original_value(fields: dict[str, object]) -> dict[str, object]:
    """The fields, with what was sent in place of what was masked of it; the same object where nothing was."""
    masked = _masked.get()
    if masked is None:
        return fields
    return {name: masked.sent(value) if masked.holds(value) else value for name, value in fields.items()}


def is_any() -> bool:
    """Return whether this request has a large body; without one nothing else here needs to run for each log line."""
    return _masked.get() is not None


def found_in(values: Any) -> frozenset[str]:
    """The secrets that stood in the request's body, where one of the values was part of it."""
    masked = _masked.get()
    if masked is None or not masked.found:
        return frozenset()
    return masked.found if any(map(masked.holds, values)) else frozenset()


def found() -> frozenset[str]:
    """The secrets that stood in the request's body."""
    masked = _masked.get()
    return frozenset() if masked is None else masked.found


def is_clear(value: object, scrubber: Scrubber) -> bool:
    """Return whether the value is part of the request's body and was masked with all that `scrubber` knows."""
    masked = _masked.get()
    if masked is None or not masked.holds(value):
        return False
    return scrubber.named == masked.scrubber.named and scrubber.values <= masked.scrubber.values
