"""Output of the benchmarks, line by line as it is measured."""

import sys


def out(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
