"""Functions that the sending thread calls later. If one fails, the others wait, because the ledger may be
unavailable."""

import heapq
import logging
import time
from collections.abc import Callable
from itertools import count
from threading import RLock
from typing import Any

from .backoff import seconds_to_wait

AT_ONCE = 0.5  # seconds of calls, after which facts are sent before further calls
FIRST = 0.25  # seconds of the first backoff

logger = logging.getLogger("pastetrader_client")
_count = count()


class Timers:
    """Functions by the time at which they are due."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, int, Callable[[Any], object]]] = []
        self.lock = RLock()
        self.failures, self.rests_until = 0, 0.0

    def __bool__(self) -> bool:
        return bool(self.waiting)

    def add(self, seconds: float, function: Callable[[Any], object]) -> None:
        with self.lock:
            heapq.heappush(self.waiting, (time.monotonic() + seconds, next(_count), function))

    def call_due(self, http: Callable[[], Any]) -> None:
        """Call the functions that are due, until one fails or AT_ONCE is over, because facts and heartbeats wait
        meanwhile."""
        until = time.monotonic() + AT_ONCE
        while time.monotonic() < until and (function := self._take_due()) is not None:
            try:
                function(http())
            except Exception as error:  # noqa: BLE001  # a function of the engine's must not end the thread
                self._rest(error)
                return
            self.failures = 0

    def _take_due(self) -> Callable[[Any], object] | None:
        with self.lock:
            if self.seconds_to_next(1.0) > 0:
                return None
            return heapq.heappop(self.waiting)[2]

    def _rest(self, error: Exception) -> None:
        """Call nothing for a while, longer after each successive failure. Only the first failure is logged with its
        traceback."""
        self.failures += 1
        self.rests_until = time.monotonic() + seconds_to_wait(FIRST, self.failures, None)
        logger.error(
            "a function of call_later() failed: %s: %s", type(error).__name__, error,
            exc_info=error if self.failures == 1 else None,
        )  # fmt: skip

    def seconds_to_next(self, most: float) -> float:
        """Return the seconds until a function is due, at most `most`."""
        with self.lock:
            if not self.waiting:
                return most
            return min(most, max(self.waiting[0][0], self.rests_until) - time.monotonic())
