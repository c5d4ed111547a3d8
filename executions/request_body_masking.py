"""Masking of a request body before the request takes a database connection. masking.mask() finds the result in
secrets/masked_request_body.py and does not mask it again."""

from typing import NamedTuple, Self
from uuid import UUID

from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db.pool import release_connection

from .exceptions import SecretsUnknown
from .secrets import limits, masked_request_body
from .secrets.run_secrets import NONE, read_known, without_secrets
from .secrets.scrubber import NOTHING, Scrubber
from .secrets.values_by_key import find_secret_values

QUICK = 262_144  # characters
DECODED = ("\\", "%", "&", "\x1b", "\n")  # what contains one of them is decoded to find a secret in it


def mask_body(body: object, run: UUID | None) -> object:
    """Return a request body masked with the secrets of the run (None for a new run) and with those in the body itself.
    Releases the database connection before it masks. Raises the ValidationError of mask() for secrets that are too long
    or too many."""
    extra = ledgerkit_settings.SECRET_KEYS_EXTRA
    found, place = _find_in_body(body, extra)
    lines = _Values.from_body(body) if isinstance(body, list) and not found else None
    is_plain = lines is not None and lines.need_no_mask(without_secrets(extra).scrubber)
    if lines is not None and is_plain and lines.are_quick():  # as most calls with log lines are: mask() is enough
        return body
    try:
        known = read_known({run} if run else set(), "mask", None).get(run, NONE).scrubber if run else NOTHING
    except SecretsUnknown:  # mask() raises it later, with the row that it refuses
        return body
    release_connection()
    if is_plain and not known.values:
        masked_request_body.remember(body, body, without_secrets(extra).scrubber, frozenset())  # not searched once more
        return body
    if found - known.values:
        limits.check_number(place, known.values, found)
    scrubber = Scrubber(known.values | found, extra)
    clean = scrubber.document(body)
    masked_request_body.remember(body, clean, scrubber, frozenset(found))
    return clean


def _find_in_body(body: object, extra: tuple[str, ...]) -> tuple[set[str], str]:
    """Return the secrets in an object or list of objects, and the name of the first field with one."""
    found: set[str] = set()
    place = ""
    for item in body if isinstance(body, list) else [body]:
        for name, value in item.items() if isinstance(item, dict) else ():
            if not isinstance(value, str) and (secrets := find_secret_values(value, extra)):
                limits.check_lengths(name, value, secrets, extra)
                found |= secrets
                place = place or name
    return found, place


class _Values(NamedTuple):
    """The values in a list of objects."""

    texts: list[str]
    documents: list[object]

    @classmethod
    def from_body(cls, body: list[object]) -> Self:
        values = [value for item in body if isinstance(item, dict) for value in item.values()]
        texts = [value for value in values if isinstance(value, str)]
        return cls(texts, [value for value in values if isinstance(value, (dict, list))])

    def need_no_mask(self, scrubber: Scrubber) -> bool:
        """Return whether nothing has to be masked. False may be wrong."""
        return scrubber.changes_none(self.texts) and all(scrubber.document(each) == each for each in self.documents)

    def are_quick(self) -> bool:
        """Return whether known secrets are found in them within a few milliseconds: a short text, in which nothing has
        to be decoded, and no documents."""
        text = "" if self.documents else "".join(self.texts)
        return not self.documents and len(text) < QUICK and not any(sign in text for sign in DECODED)
