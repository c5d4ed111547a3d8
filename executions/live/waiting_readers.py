"""Waiting readers of a topic, woken in batches, with one shared timer. With 200 readers, one timer each costs the event
loop as much as the sending itself."""

import asyncio

BATCH = 10  # readers woken at once
GAP = 0.01  # seconds between two batches: sending to all at once would delay every other request
NEVER = float("inf")


class WaitingReaders:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: list[tuple[float, asyncio.Future[None]]] = []
        self.timer_at = NEVER
        self.timer: asyncio.TimerHandle | None = None

    def wait(self, due: float) -> asyncio.Future[None]:
        """Return a future that is done when there is news, and at `due` by the clock of the loop."""
        waiter = self.loop.create_future()
        self.waiting.append((due, waiter))
        if due < self.timer_at:
            self._set_timer(due)
        return waiter

    def wake_all(self, within: float) -> None:
        """Wake all waiting readers, spread over at most `within` seconds."""
        waiting, self.waiting = [waiter for _due, waiter in self.waiting], []
        groups = [waiting[place : place + BATCH] for place in range(0, len(waiting), BATCH)]
        gap = min(GAP, within / max(1, len(groups)))
        for number, group in enumerate(groups):
            if number:
                self.loop.call_later(number * gap, _wake, group)
            else:
                _wake(group)

    def _set_timer(self, due: float) -> None:
        if self.timer:
            self.timer.cancel()
        self.timer_at = due
        self.timer = self.loop.call_at(due, self._on_timer) if due < NEVER else None

    def _on_timer(self) -> None:
        now = self.timer_at
        _wake([waiter for due, waiter in self.waiting if due <= now])
        self.waiting = [(due, waiter) for due, waiter in self.waiting if due > now and not waiter.done()]
        self._set_timer(min((due for due, _waiter in self.waiting), default=NEVER))

    def stop(self) -> None:
        """Wake all and stop the timer."""
        self.wake_all(0)
        self._set_timer(NEVER)


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
