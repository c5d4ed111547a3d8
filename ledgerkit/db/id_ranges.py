"""Ids that begin with a text."""

import re
from uuid import UUID

from .models import parse_uuid

BEGINNING = re.compile("[0-9a-f]{8}-?(?:[0-9a-f]{1,4}-?){0,6}", re.IGNORECASE | re.ASCII)

type IdRange = tuple[UUID, UUID]


def id_range(text: str) -> IdRange | None:
    """Return the first and the last id that begin with at least 8 hexadecimal digits; None for any other text."""
    if pk := parse_uuid(text):
        return pk, pk
    if not BEGINNING.fullmatch(text):
        return None
    digits = text.replace("-", "")
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
