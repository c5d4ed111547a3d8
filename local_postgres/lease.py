"""Lease on the server: every process that uses it holds a shared file lock. The kernel drops the locks of dead
processes."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Lease:
    """The lease of one process. A forked child has none until it takes its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        os.register_at_fork(after_in_child=self._forget)

    @property
    def held(self) -> bool:
        return self._file is not None

    def take(self) -> None:
        """Take the lease. Waits while the last process is stopping the server."""
        self._file = _open(self.path)
        fcntl.flock(self._file, fcntl.LOCK_SH)

    @contextmanager
    def give_back(self) -> Iterator[bool]:
        """Release the lease. Yields True if no other process holds one; none can be taken inside the block."""
        file, self._file = self._file, None
        if file is None:
            yield False
            return
        try:
            yield _is_exclusive(file)
        finally:
            os.close(file)

    def _forget(self) -> None:
        """Close the file inherited from the parent without unlocking it: the lock belongs to the parent too."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


@contextmanager
def hold_inherited(path: Path) -> Iterator[int]:
    """Hold a lock while starting a program. It lasts as long as the program or a child of it lives, in any
    container."""
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield file
    finally:
        os.close(file)


def is_held(path: Path) -> bool:
    file = _open(path)
    try:
        return not _is_exclusive(file)
    finally:
        os.close(file)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_exclusive(file: int) -> bool:
    """Return whether no other process holds the lock. Unlocks first: two processes that leave at once and keep their
    shared locks would both fail."""
    fcntl.flock(file, fcntl.LOCK_UN)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
