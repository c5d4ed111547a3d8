"""Number of repetitions in a test: few in the suite, many with `make proofs`."""

import os

LONG = os.environ.get("PROOFS") == "1"


def times(short: int, long: int) -> int:
    return long if LONG else short
