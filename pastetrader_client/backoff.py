"""Waits between calls while the ledger takes none: each longer than the one before, of random length."""

import random

LONGEST = 30.0  # seconds


def seconds_to_wait(first: float, failures: int, retry_after: float | None) -> float:
    """Return `first` seconds, twice as many after each further failure, less some chance: many clients must not come
    back at once. It is never less than what the ledger asks for."""
    delay = min(LONGEST, first * (1 << min(failures - 1, 20)))
    return max(delay * random.uniform(0.5, 1), retry_after or 0.0)  # noqa: S311  # jitter
