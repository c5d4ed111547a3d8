"""UUIDs of version 7 as texts. Their first 48 bits are the time in milliseconds, the next 12 its fraction, so that ids
of one thread are in the order of their creation."""

import os
import random
import time
from hashlib import sha256
from uuid import UUID

TEXT = "%08x-%04x-7%03x-%04x-%012x"
VARIANT = 2 << 14
MILLISECOND = 1_000_000  # in nanoseconds

# A generator of its own, so that a seed that the engine sets does not repeat ids. Random bits from the system take a
# microsecond more per id.
_random = random.Random()  # noqa: S311  # ids are not secret
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def random_bits() -> int:
    """Return the random bits that distinguish an id from others of the same time."""
    return _random.getrandbits(62)


def random_token() -> str:
    """Return a UUID of version 4, for the token of a lease."""
    return str(UUID(int=_random.getrandbits(128), version=4))


def unique_name(name: str, most: int) -> str:
    """Return the name with eight random digits, of at most `most` characters. Host and process number may be the same
    after a restart."""
    return f"{name[: most - 9]}-{os.urandom(4).hex()}"


def uuid7(nanoseconds: int | None = None, bits: int | None = None) -> str:
    """Return a new id, or the id of this time and these random bits."""
    ms, rest = divmod(time.time_ns() if nanoseconds is None else nanoseconds, MILLISECOND)
    return _text(ms, (rest << 12) // MILLISECOND, random_bits() if bits is None else bits)


def derive(base: str, *parts: object) -> str:
    """Return an id with the time of the id `base`. Equal parts give equal ids, so that processes that report parts of
    one run need not exchange ids."""
    digest = int.from_bytes(sha256("\0".join([base, *map(str, parts)]).encode()).digest()[:10])
    return _text(UUID(base).int >> 80, digest >> 62 & 0xFFF, digest & (1 << 62) - 1)


def _text(ms: int, fraction: int, rest: int) -> str:
    return TEXT % (ms >> 16, ms & 0xFFFF, fraction, VARIANT | rest >> 48, rest & 0xFFFFFFFFFFFF)
