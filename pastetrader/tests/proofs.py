"""How often a test repeats what it proves: some times in the suite, many times with `make proofs`."""

import os

LONG = os.environ.get("PROOFS") == "1"


def times(short: int, long: int) -> int:
    return long if LONG else short
