"""Time for which a process was ready to run and the system ran others: what a busy machine adds to any duration."""

import threading
from pathlib import Path
from typing import Self

EVERY = 0.02  # seconds between two looks


class QueueTime:
    """Measure this time of the first thread of a process, until it ends. It is 0 where the system does not count it.

    It stands in /proc/PID/schedstat, second (proc(5), Documentation/scheduler/sched-stats of Linux).
    """

    def __init__(self, pid: int) -> None:
        self.file = Path(f"/proc/{pid}/schedstat")
        self.first = self.last = self._read() or 0.0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.ended.set()
        self.thread.join()

    @property
    def seconds(self) -> float:
        return self.last - self.first

    def _watch(self) -> None:
        while (now := self._read()) is not None:
            self.last = now
            if self.ended.wait(EVERY):
                return

    def _read(self) -> float | None:
        try:
            return int(self.file.read_text().split()[1]) / 1e9
        except (OSError, IndexError):
            return None
