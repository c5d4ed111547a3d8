"""Limits on open streams, per user and in this process."""

from collections import Counter
from collections.abc import Callable, Hashable
from threading import Lock

from executions.conf import executions_settings

_open: Counter[Hashable] = Counter()
_lock = Lock()


class TooManyStreams(Exception):  # a refusal, which the entrance words in its own way
    """`str()` says of whom, and what to do."""

    WAIT = 5  # seconds

    def __str__(self) -> str:
        return f"{self.args[0]} Close one, or read with ?wait=0, which gives what is new and ends."


def acquire(user: Hashable) -> Callable[[], None]:
    """A place; call what is returned, once or more often, to give it back. Raises TooManyStreams."""
    with _lock:
        if _open[user] >= executions_settings.STREAMS_PER_USER:
            raise TooManyStreams(f"You have {_open[user]} streams open, as many as you may.")
        if _open.total() >= executions_settings.STREAMS:
            raise TooManyStreams("This server has as many streams open as it may.")
        _open[user] += 1
    return _release_once(user)


def _release_once(user: Hashable) -> Callable[[], None]:
    held = [user]

    def give_back() -> None:
        with _lock:
            if held:
                _open[held.pop()] -= 1

    return give_back


def count() -> int:
    with _lock:
        return _open.total()
