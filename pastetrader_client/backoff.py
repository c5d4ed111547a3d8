"""Exponential backoff with jitter, for calls while the ledger takes none."""

import random

LONGEST = 30.0  # seconds


def seconds_to_wait(first: float, failures: int, retry_after: float | None) -> float:
    """Return `first` seconds, doubled for each further failure, less a random part: many clients must not return at
    once. Return `retry_after` at least."""
    delay = min(LONGEST, first * (1 << min(failures - 1, 20)))
    return max(delay * random.uniform(0.5, 1), retry_after or 0.0)  # noqa: S311  # jitter
