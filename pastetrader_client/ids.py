"""UUIDs of version 7 as texts. Their first 48 bits are the time in milliseconds, the next 12 its fraction, so that ids
of one thread are in the order of their making."""

import os
import random
import time
from hashlib import sha256
from uuid import UUID

TEXT = "%08x-%04x-7%03x-%04x-%012x"
VARIANT = 2 << 14
MILLISECOND = 1_000_000  # in nanoseconds

# Of its own, so that a seed of the engine's does not repeat ids; each id from the system takes a microsecond more.
_random = random.Random()  # noqa: S311  # ids are no secrets
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def random_bits() -> int:
    """Return what tells an id from others of the same time."""
    return _random.getrandbits(62)


def random_token() -> str:
    """Return a UUID of version 4, for the token of a lease."""
    return str(UUID(int=_random.getrandbits(128), version=4))


def unique_name(name: str, most: int) -> str:
    """Return the name with eight random digits, of at most `most` characters. The host and the number of a process may
    be the same after a restart."""
    return f"{name[: most - 9]}-{os.urandom(4).hex()}"


def uuid7(nanoseconds: int | None = None, bits: int | None = None) -> str:
    """Return a new id, or the one of this time and these random bits."""
    ms, rest = divmod(time.time_ns() if nanoseconds is None else nanoseconds, MILLISECOND)
    return _text(ms, (rest << 12) // MILLISECOND, random_bits() if bits is None else bits)


def derive(base: str, *parts: object) -> str:
    """Return the id that these parts always have under `base`, an id whose time it takes. Processes that report parts
    of one run need not exchange ids."""
    digest = int.from_bytes(sha256("\0".join([base, *map(str, parts)]).encode()).digest()[:10])
    return _text(UUID(base).int >> 80, digest >> 62 & 0xFFF, digest & (1 << 62) - 1)


def _text(ms: int, fraction: int, rest: int) -> str:
    return TEXT % (ms >> 16, ms & 0xFFFF, fraction, VARIANT | rest >> 48, rest & 0xFFFFFFFFFFFF)
