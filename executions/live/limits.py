"""Limits on open streams, per user and of this server."""

from collections.abc import Callable, Hashable
from contextlib import suppress

from executions.conf import executions_settings
from ledgerkit.shared_counts import SharedCounts, exclusive

_open = SharedCounts()


class TooManyStreams(Exception):  # not an error: API and admin each return their own response
    """A limit on open streams is reached. The message names the limit and what to do."""

    WAIT = 5  # seconds

    def __str__(self) -> str:
        return f"{self.args[0]} Close one, or read with ?wait=0, which gives what is new and ends."


def acquire(user: Hashable) -> Callable[[], None]:
    """Count one more open stream. Return a function that releases it; it may be called more than once. Raises
    TooManyStreams."""
    with exclusive():
        if (count := _open.count_for(user)) >= executions_settings.STREAMS_PER_USER:
            raise TooManyStreams(f"You have {count} streams open, as many as you may.")
        if _open.total() >= executions_settings.STREAMS:
            raise TooManyStreams("This server has as many streams open as it may.")
        _open.add(user)
    return _release_once(user)


def _release_once(user: Hashable) -> Callable[[], None]:
    held = [user]

    def release() -> None:
        with suppress(IndexError):  # released before
            _open.add(held.pop(), -1)

    return release


def count() -> int:
    return _open.total()
