"""A large request body, masked before the request takes a database connection or opens a transaction.

Everything stored still passes masking.mask(), which looks up here the values that are masked already, and by which
secrets, and masks them again only if more secrets of the run were stored since.
"""

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from .scrubber import Scrubber


@dataclass(frozen=True)
class MaskedBody:
    """The masked values of a body's fields, or of the fields of each item of a list. `texts` maps a masked text to the
    original, `documents` maps the id() of a masked document to the document and its original."""

    scrubber: Scrubber
    found: frozenset[str]
    texts: Mapping[str, str]
    documents: Mapping[int, tuple[object, object]]

    def holds(self, value: object) -> bool:
        return value in self.texts if isinstance(value, str) else id(value) in self.documents

    def originals(self, fields: dict[str, object]) -> dict[str, object]:
        """Return the fields, with the original in place of each value of this body."""
        return {name: self._original(value) if self.holds(value) else value for name, value in fields.items()}

    def _original(self, value: object) -> object:
        return self.texts[value] if isinstance(value, str) else self.documents[id(value)][1]

    def found_beside(self, values: Iterable[object]) -> frozenset[str]:
        """Return the secrets found in this body, if one of the values is part of it."""
        return self.found if self.found and any(map(self.holds, values)) else frozenset()

    def is_clear(self, value: object, scrubber: Scrubber) -> bool:
        """Return whether the value is part of this body and was masked with at least the secrets of `scrubber`."""
        return self.holds(value) and scrubber.named == self.scrubber.named and scrubber.values <= self.scrubber.values


_masked: ContextVar[MaskedBody | None] = ContextVar("masked_body", default=None)
current: Callable[[], MaskedBody | None] = _masked.get  # the masked body of this request, None if it has none


def forget() -> None:
    _masked.set(None)


def remember(sent: object, body: object, scrubber: Scrubber, found: frozenset[str]) -> None:
    """Record for this request that `body` is `sent` masked by `scrubber`. `found` has the secrets in it."""
    texts: dict[str, str] = {}
    documents: dict[int, tuple[object, object]] = {}
    for before, item in zip(_items(sent), _items(body), strict=True):
        for value, clean in zip(before.values(), item.values(), strict=True):
            if isinstance(clean, str):
                texts[clean] = str(value)
            else:
                documents[id(clean)] = (clean, value)
    _masked.set(MaskedBody(scrubber, found, texts, documents))


def _items(body: object) -> list[dict[str, object]]:
    return [item for item in (body if isinstance(body, list) else [body]) if isinstance(item, dict)]
