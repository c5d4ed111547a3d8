"""Queue of facts in memory. Threads of the engine add facts, the sending thread takes them."""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import RLock

from .encoding import Draft, Fact, Identified, draft_of, fact_of, moment
from .ids import uuid7

COUNT = 500  # with so many facts, a batch is sent without waiting for more
BYTES = 256_000
DELAY = 0.2  # seconds that the first fact waits for others
TICK = 0.05  # seconds between two checks for facts
LULL = 10.0  # seconds without facts after which the thread sleeps until it is woken
DROPPED = "%d facts of this run were dropped by the reporter: the ledger could not be reached, and there was no room."

logger = logging.getLogger("pastetrader_client")


class Outbox:
    """Holds at most `max_bytes` of log lines, and twice as much of other facts, because no later fact replaces these.

    add() takes no lock, makes no system call and wakes no thread: after a pause of 2 ms, a lock costs 5 µs and a
    wake-up 13. The sending thread checks every TICK, and is woken only from the sleep after a LULL; the thread that
    writes files is woken when memory is half full. A deque is thread-safe, and CPython interrupts no thread within
    `+=`; in an interpreter that does, the size is slightly wrong until the outbox is next empty. A signal handler or a
    __del__ may report while add() runs.
    """

    wake: Callable[[], object]

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.wake = lambda: None  # the sender has another
        self.facts: deque[Draft] = deque()
        self.added = self.taken = 0  # bytes
        self.is_asleep = True
        self.is_urgent = False
        self.last_taken = 0.0
        self.dropped: Counter[Identified | str] = Counter()
        self.dropped_lock = RLock()  # taken only without room, for the time of counting
        self.wakes: SimpleQueue[None] = SimpleQueue()
        self.is_filling = False
        self.fillings: SimpleQueue[None] = SimpleQueue()

    def add(self, draft: Draft) -> bool:
        """Add a fact, or count it as dropped if there is no room. Return whether it was added."""
        held = self.added - self.taken + draft[0]
        if 2 * held > self.max_bytes and not self._has_room(draft, held):
            self.drop([draft[2]])
            return False
        self.added += draft[0]
        self.facts.append(draft)
        if self.is_asleep:
            self.wake()
        return True

    def _has_room(self, draft: Draft, held: int) -> bool:
        """Return whether a fact fits beside `held` bytes. Wake the thread that writes files if memory is half full."""
        if not self.is_filling:
            self.is_filling = True
            self.fillings.put(None)
        return held <= self.max_bytes or (draft[1] != "log" and held <= 2 * self.max_bytes)

    def wait_until_half_full(self) -> None:
        """Wait until a fact is added while more than half of the memory is used, or for end_filling()."""
        self.fillings.get()
        self.is_filling = False

    def end_filling(self) -> None:
        self.fillings.put(None)

    @property
    def is_half_full(self) -> bool:
        return 2 * self.size > self.max_bytes

    @property
    def size(self) -> int:
        """Return the number of bytes in memory."""
        return self.added - self.taken

    def drop(self, runs: list[Identified | str]) -> None:
        with self.dropped_lock:
            self.dropped.update(runs)

    def end_wait(self) -> None:
        """End the wait of the thread."""
        self.is_urgent = True
        self.wakes.put(None)

    def wait(self, seconds: float) -> None:
        """Wait at most `seconds` for end_wait()."""
        with suppress(Empty):
            self.wakes.get(timeout=max(0.0, seconds))

    def wait_for_batch(self, idle: float) -> None:
        """Wait until there are facts to send, at most `idle` seconds for the first of them."""
        self._wait_for_first(idle)
        until = time.monotonic() + DELAY - TICK
        while self.facts and not self._is_due() and (rest := until - time.monotonic()) > 0:
            self.wait(min(rest, TICK))

    def _wait_for_first(self, idle: float) -> None:
        until = time.monotonic() + idle
        if time.monotonic() > self.last_taken + LULL:
            self._sleep(idle)
        while not self.facts and not self.is_urgent and (rest := until - time.monotonic()) > 0:
            self.wait(min(rest, TICK))

    def _sleep(self, seconds: float) -> None:
        """Wait to be woken. If a fact is added meanwhile, either add() sees the flag or this sees the fact."""
        self.is_asleep = True
        if not self.facts and not self.is_urgent:
            self.wait(seconds)
        self.is_asleep = False

    def _is_due(self) -> bool:
        return self.is_urgent or len(self.facts) >= COUNT or self.size >= BYTES

    def take(self, count: int, size: int) -> list[Draft]:
        """Remove and return the oldest facts, up to this number and size, but at least one."""
        self.is_urgent = False
        taken: list[Draft] = []
        while self.facts and len(taken) < count and (not taken or size >= self.facts[0][0]):
            draft = self.facts.popleft()
            taken.append(draft)
            size -= draft[0]
            self.taken += draft[0]
        if taken:
            self.last_taken = time.monotonic()
        elif not self.facts:
            self.taken = self.added
        return taken

    def first(self, count: int) -> list[Draft]:
        """Return the oldest facts without removing them."""
        return list(self.facts)[:count]

    def put_back(self, drafts: Sequence[Draft]) -> None:
        """Put taken facts back, before all others."""
        self.facts.extendleft(reversed(drafts))
        self.taken -= sum(draft[0] for draft in drafts)

    def report_dropped(self) -> None:
        """Add a log line to each run with dropped facts, once there is room."""
        if not self.is_half_full:
            for line in self.take_lines_of_dropped():
                self.add(draft_of(line))

    def take_lines_of_dropped(self) -> list[Fact]:
        """Return a log line for each run with dropped facts, and forget these runs."""
        if not self.dropped:
            return []
        with self.dropped_lock:
            dropped, self.dropped = self.dropped, Counter()
        logger.error("%d facts of %d runs were dropped: there was no room", dropped.total(), len(dropped))
        counts = [(run if isinstance(run, str) else run.id, count) for run, count in dropped.items()]
        return [_line(id, DROPPED % count, {"dropped": count}) for id, count in counts if id]


def _line(run: str, message: str, data: Mapping[str, object]) -> Fact:
    ns = time.time_ns()
    fields = {"id": uuid7(ns), "workflow_execution": run, "level": "warning", "message": message, "data": data}
    return fact_of(run, "log", "", {**fields, "at": moment(ns)})
