"""Lease on the server: everyone who needs it holds a shared lock. The kernel drops the locks of dead processes."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Lease:
    """One process's claim on the server. A forked child has none until it takes its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        os.register_at_fork(after_in_child=self._forget)

    @property
    def held(self) -> bool:
        return self._file is not None

    def take(self) -> None:
        """Waits while the last one out is stopping the server."""
        self._file = _open(self.path)
        fcntl.flock(self._file, fcntl.LOCK_SH)

    @contextmanager
    def give_back(self) -> Iterator[bool]:
        """Gives the lease back; True means that nobody else holds one, and nobody can take one inside the block."""
        file, self._file = self._file, None
        if file is None:
            yield False
            return
        try:
            yield _became_alone(file)
        finally:
            os.close(file)

    def _forget(self) -> None:
        """The inherited file is the parent's very lock: closing it here leaves that lock alone, unlocking would not."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


@contextmanager
def hold_inherited(path: Path) -> Iterator[int]:
    """A lock to start a program with: held as long as it or a child of it lives, whoever can or cannot see them."""
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield file
    finally:
        os.close(file)


def is_held(path: Path) -> bool:
    file = _open(path)
    try:
        return not _became_alone(file)
    finally:
        os.close(file)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _became_alone(file: int) -> bool:
    """Unlock first: of two who leave at once and both ask while holding, neither would get it."""
    fcntl.flock(file, fcntl.LOCK_UN)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
