"""Counts by key, of a server and the worker processes that it forks.

Each process writes its own counts and reads those of all, in shared memory: those of a process that is killed are
cleared by its successor. The lock between processes is one of a file, which the system releases when its holder dies.
"""

import fcntl
import mmap
import tempfile
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

SLOTS = 65_536  # of keys, by their hash; numbers below that have one each

_own = 0
_all: list["SharedCounts"] = []
_threads = RLock()
_between_processes: int | None = None  # an open file without a name


def share_among(processes: int) -> None:
    """Make room for the counts of as many processes. Before they are forked."""
    global _between_processes
    _between_processes, path = tempfile.mkstemp()
    Path(path).unlink()
    for counts in _all:
        counts.make(processes)


@contextmanager
def exclusive() -> Iterator[None]:
    """Let no other thread or process count meanwhile, if it asks for the same: two that read a count and then add to it
    would both get the last place."""
    with _threads:
        if _between_processes is None:
            yield
            return
        fcntl.lockf(_between_processes, fcntl.LOCK_EX)  # of the process, not of the open file that forked ones share
        try:
            yield
        finally:
            fcntl.lockf(_between_processes, fcntl.LOCK_UN)


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
        with _threads:
            for slot in (0, _slot(key)):
                self.places[_own][slot] += by

    def count_for(self, key: Hashable) -> int:
        return sum(counts[_slot(key)] for counts in self.places)

    def total(self) -> int:
        return sum(counts[0] for counts in self.places)


def _slot(key: Hashable) -> int:
    """Return the place of a key; the first one is that of the total. Forked processes hash texts alike."""
    return 1 + hash(key) % (SLOTS - 1)
