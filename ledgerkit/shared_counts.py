"""Counts by key, of a server and the worker processes that it forks.

Each process writes its own counts and reads those of all, in shared memory without a lock: a process that is killed
leaves no lock behind, and its successor takes its place. Two that count at the same moment may both get the last place.
"""

import mmap
from collections.abc import Hashable

SLOTS = 65_536  # of keys, by their hash; numbers below that have one each

_own = 0
_all: list["SharedCounts"] = []


def share_among(processes: int) -> None:
    """Make room for the counts of as many processes. Before they are forked."""
    for counts in _all:
        counts.make(processes)


def become(process: int) -> None:
    """Count as the process of this number from now on, which has counted nothing yet."""
    global _own  # noqa: PLW0603  # the number of this process
    _own = process
    for counts in _all:
        counts.clear(process)


class SharedCounts:
    def __init__(self) -> None:
        self.make(1)
        _all.append(self)

    def make(self, processes: int) -> None:
        self.places = [memoryview(mmap.mmap(-1, 4 * SLOTS)).cast("I") for _ in range(processes)]

    def clear(self, process: int) -> None:
        self.places[process][:] = memoryview(bytes(4 * SLOTS)).cast("I")

    def add(self, key: Hashable, by: int = 1) -> None:
        """Not for two threads of a process at once."""
        for slot in (0, _slot(key)):
            self.places[_own][slot] += by

    def of(self, key: Hashable) -> int:
        return sum(counts[_slot(key)] for counts in self.places)

    def total(self) -> int:
        return sum(counts[0] for counts in self.places)


def _slot(key: Hashable) -> int:
    """Return the place of a key; the first one is that of the total. Forked processes hash texts alike."""
    return 1 + hash(key) % (SLOTS - 1)
