"""Waiting readers of a topic, woken in batches from one shared timer. With 200 readers, a timer each costs the event
loop as much as the sending itself."""

import asyncio

FEW = 10  # readers who are woken at once
GAP = 0.01  # seconds between ten and the next ten: sent to all at once, the lines would hold up every other request
NEVER = float("inf")


class Waiters:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: list[tuple[float, asyncio.Future[None]]] = []
        self.rings_at = NEVER
        self.alarm: asyncio.TimerHandle | None = None

    def wait(self, due: float) -> asyncio.Future[None]:
        """Done when there is news, and at `due` by the clock of the loop."""
        waiter = self.loop.create_future()
        self.waiting.append((due, waiter))
        if due < self.rings_at:
            self._ring_at(due)
        return waiter

    def tell(self, most: float) -> None:
        """Within `most` seconds each of them hears it."""
        waiting, self.waiting = [waiter for _due, waiter in self.waiting], []
        groups = [waiting[place : place + FEW] for place in range(0, len(waiting), FEW)]
        gap = min(GAP, most / max(1, len(groups)))
        for number, group in enumerate(groups):
            if number:
                self.loop.call_later(number * gap, _wake, group)
            else:
                _wake(group)

    def _ring_at(self, due: float) -> None:
        if self.alarm:
            self.alarm.cancel()
        self.rings_at = due
        self.alarm = self.loop.call_at(due, self._ring) if due < NEVER else None

    def _ring(self) -> None:
        now = self.rings_at
        _wake([waiter for due, waiter in self.waiting if due <= now])
        self.waiting = [(due, waiter) for due, waiter in self.waiting if due > now and not waiter.done()]
        self._ring_at(min((due for due, _waiter in self.waiting), default=NEVER))

    def stop(self) -> None:
        """Nobody is told any more, but that it is over."""
        self.tell(0)
        self._ring_at(NEVER)


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
