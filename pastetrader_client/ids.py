"""UUIDs of version 7 as texts. Their first 48 bits are the time in milliseconds, the next 12 its fraction, so that ids
of one thread are in the order of their making."""

import os
import time
from hashlib import sha256
from uuid import UUID

VERSION, VARIANT = 7 << 76, 2 << 62
RANDOM = (1 << 62) - 1
MILLISECOND = 1_000_000  # in nanoseconds


def uuid7(nanoseconds: int | None = None) -> str:
    """Return a new id. Random bits come from the system: a seed or a fork does not repeat them."""
    ns = time.time_ns() if nanoseconds is None else nanoseconds
    ms, rest = divmod(ns, MILLISECOND)
    fraction = (rest << 12) // MILLISECOND
    return _text(ms << 80 | VERSION | fraction << 64 | VARIANT | int.from_bytes(os.urandom(8)) & RANDOM)


def derive(base: str, *parts: object) -> str:
    """Return the id that these parts always have under `base`, an id whose time it takes. Processes that report parts
    of one run need not exchange ids."""
    digest = int.from_bytes(sha256("\0".join([base, *map(str, parts)]).encode()).digest()[:10])
    return _text(UUID(base).int >> 80 << 80 | VERSION | (digest >> 62 & 0xFFF) << 64 | VARIANT | digest & RANDOM)


def _text(number: int) -> str:
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
