"""Limits on open streams, per user and in this process."""

from collections import Counter
from collections.abc import Callable, Hashable
from threading import Lock

from executions.conf import executions_settings

_open: Counter[Hashable] = Counter()
_lock = Lock()


class TooManyStreams(Exception):  # not an error: API and admin each return their own response
    """A limit on open streams is reached. The message says whose, and what to do."""

    WAIT = 5  # seconds

    def __str__(self) -> str:
        return f"{self.args[0]} Close one, or read with ?wait=0, which gives what is new and ends."


def acquire(user: Hashable) -> Callable[[], None]:
    """Count one more open stream. Return a function that releases it; it may be called more than once. Raises
    TooManyStreams."""
    with _lock:
        if _open[user] >= executions_settings.STREAMS_PER_USER:
            raise TooManyStreams(f"You have {_open[user]} streams open, as many as you may.")
        if _open.total() >= executions_settings.STREAMS:
            raise TooManyStreams("This server has as many streams open as it may.")
        _open[user] += 1
    return _release_once(user)


def _release_once(user: Hashable) -> Callable[[], None]:
    held = [user]

    def release() -> None:
        with _lock:
            if held:
                _open[held.pop()] -= 1

    return release


def count() -> int:
    with _lock:
        return _open.total()
