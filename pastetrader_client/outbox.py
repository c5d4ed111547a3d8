"""Facts that wait in memory. Threads of the engine add, the sending thread takes."""

import logging
import time
from collections import Counter, deque
from queue import Empty, SimpleQueue
from threading import RLock

from .encoding import Draft, Fact, line

COUNT = 500  # facts that are sent without waiting for more
BYTES = 256_000
DELAY = 0.2  # seconds that the first fact waits for others
DROPPED = "%d facts of this run were dropped by the reporter: the ledger could not be reached, and there was no room."

logger = logging.getLogger("pastetrader_client")


class Outbox:
    """At most `max_bytes` of log lines, and twice as much of other facts, which no later one replaces.

    The lock is reentrant and SimpleQueue.put() too: a signal handler or a __del__ may report while add() runs.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.lock = RLock()
        self.facts: deque[Fact | Draft] = deque()
        self.size = 0
        self.dropped: Counter[str] = Counter()
        self.wakes: SimpleQueue[bool] = SimpleQueue()

    def add(self, fact: Fact | Draft, *, urgent: bool = False) -> None:
        """Add a fact, or count it as dropped. Wake the thread for the first, for many, and for an urgent one."""
        size = fact.size
        with self.lock:
            if self.size + size > self.max_bytes * (1 if fact.kind == "log" else 2):
                self.dropped[fact.run] += 1
                return
            self.facts.append(fact)
            before, self.size = self.size, self.size + size
            count = len(self.facts)
        if urgent or count in {1, COUNT} or before < BYTES <= self.size or before < self.max_bytes // 2 <= self.size:
            self.wakes.put(urgent)

    def wake(self) -> None:
        self.wakes.put(True)

    def wait(self, seconds: float) -> bool:
        """Wait for a wake. Return whether there was one."""
        try:
            self.wakes.get(timeout=max(0.0, seconds))
        except Empty:
            return False
        return True

    def wait_for_batch(self, idle: float) -> None:
        """Wait until there are facts to send, at most `idle` seconds for the first of them."""
        if not self.facts and not self.wait(idle):
            return
        until = time.monotonic() + DELAY
        while (rest := until - time.monotonic()) > 0 and not self.is_full():
            try:
                if self.wakes.get(timeout=rest):
                    return
            except Empty:
                return

    def is_full(self) -> bool:
        return len(self.facts) >= COUNT or self.size >= BYTES

    def take(self, count: int, size: int) -> list[Fact]:
        """Return the oldest facts, up to this number and size, but one at least. No thread of the engine waits while
        they are encoded."""
        taken: list[Fact | Draft] = []
        with self.lock:
            while self.facts and len(taken) < count and (not taken or size >= self.facts[0].size):
                fact = self.facts.popleft()
                taken.append(fact)
                size -= fact.size
                self.size -= fact.size
        return [fact.encoded() for fact in taken]

    def report_dropped(self) -> None:
        """Add a line to each run that facts were dropped of, once there is room."""
        if not self.dropped or self.size > self.max_bytes // 2:
            return
        with self.lock:
            dropped, self.dropped = self.dropped, Counter()
        logger.error("%d facts of %d runs were dropped: there was no room", dropped.total(), len(dropped))
        for run, count in dropped.items():
            if run:
                self.add(line(run, None, "warning", DROPPED % count, {"dropped": count}))
