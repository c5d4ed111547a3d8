"""Everybody who watches the same is served by one reading: a Topic reads each step once, renders it once for each kind
of reader, and keeps the last few steps for readers to take when they can. Nobody waits for a slow reader: who has
fallen behind what is kept reads on from their own cursor, and takes part again once they have caught up.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import Error

from .cursor import Cursor
from .db_threads import TICKS, in_thread
from .listener import QUIET, RENEWED, Listener, renew_watches, suppress_notifications, watch
from .reader import RunDeleted, Source, Step
from .rights import Rights
from .waiters import Waiters

POLL = 5.0  # seconds: notifications are a courtesy, and a watch may be written down a moment too late
POLL_UNHEARD = 1.0  # while nothing notifies
KEPT = 16  # steps
BUSY = 3  # steps with news in a row
ROW = 1.0  # seconds between two of them at most, beside the pause that is made anyway
MARGIN = 1.0  # seconds that a busy run is read on after it may be heard of again: for what was written, not committed
CROWD = 25  # readers from which on steps come more slowly, up to CROWDED seconds
CROWDED = 1.8  # of 1,000 lines a second, no more than a step holds

logger = logging.getLogger(__name__)


class Topic:
    """Shared state of the readers of one source. It runs on the event loop, except for reading and rendering."""

    def __init__(self, hub: "Hub", source: Source) -> None:
        self.hub, self.source = hub, source
        self.readers = 0
        self.position: Cursor | None = None
        self.steps: deque[Step] = deque(maxlen=KEPT)
        self.wake = asyncio.Event()
        self.news = hub.loop.create_future()
        self.audience = Waiters(hub.loop)
        self.begun = self.done = 0
        self.is_gone = False
        self.wake_in = POLL
        self.streak, self.told_at, self.hushed_at, self.busy_until = 0, 0.0, 0.0, 0.0
        self.reads: dict[Cursor, asyncio.Task[Step]] = {}
        self.task = hub.loop.create_task(self._run())

    async def next_for(self, cursor: Cursor, due: float) -> Step | None:
        """Return the next step of a reader at `cursor`, or None where there is none until `due`, or just now. Raises
        RunDeleted."""
        if self.position is not None and cursor == self.position:
            await self.audience.wait(due)
        if self.is_gone:
            raise RunDeleted
        if step := next((step for step in self.steps if step.before == cursor), None):
            return step
        return None if cursor == self.position else await self._read_on(cursor)

    async def text_of(self, step: Step, key: Hashable, render: Callable[[Step], object]) -> object:
        if (made := step.texts.get(key)) and made.done():
            return made.result()
        if not made:
            step.texts[key] = self.hub.loop.create_task(in_thread(partial(render, step)))
            step.texts[key].add_done_callback(partial(_forget_failed, step.texts, key))
        return await asyncio.shield(step.texts[key])

    async def _read_on(self, cursor: Cursor) -> Step | None:
        """Read up to a snapshot of the topic's, or one that leads there. It has to be younger than the cursor's, which
        may come from a page rendered a moment ago: reading backwards would send events twice."""
        if (until := await self._fresh()) is None:
            return None
        if cursor not in self.reads:
            self.reads[cursor] = self.hub.loop.create_task(in_thread(partial(self.source.read, cursor, until)))
            self.reads[cursor].add_done_callback(lambda _task: self.reads.pop(cursor, None))
        try:
            return await asyncio.shield(self.reads[cursor])
        except Error as error:
            logger.warning("A stream could not be read on; it tries again: %s", str(error).strip())
            await asyncio.sleep(POLL_UNHEARD)
            return None

    async def _fresh(self) -> str | None:
        """A snapshot of the topic's that was taken after this call; None where the topic ends, or none came in time."""
        wanted = self.begun + 1
        while self.done < wanted:
            if self.is_gone or self.hub.is_closed:
                return None
            self.wake.set()
            told, _waiting = await asyncio.wait([self.news], timeout=POLL)
            if not told:  # the database is away: the reader has to hear something meanwhile
                return None
        return self.position.lines if self.position else None

    async def _run(self) -> None:
        is_watched = False
        while not self.is_gone:
            try:
                if not is_watched:
                    await self._watch()
                    is_watched = True
                await self._woken()
                await self._tick()
            except RunDeleted:
                self.is_gone = True
            except Error as error:
                logger.warning("A stream could not be read; it tries again: %s", str(error).strip())
                await asyncio.sleep(POLL_UNHEARD)
            except Exception:  # whatever it is: all readers of this topic would wait for ever
                logger.exception("A stream could not be read; it tries again.")
                await asyncio.sleep(POLL)
            self._tell()
            await asyncio.sleep(self._pause())

    async def _watch(self) -> None:
        if await in_thread(partial(watch, [self.source.watch]), TICKS):
            self.busy_until = self.hub.loop.time() + QUIET + MARGIN

    async def _hush(self) -> None:
        """After a step with news: what is busy is read all the time, and its writers need not notify."""
        now = self.hub.loop.time()
        self.streak = self.streak + 1 if now - self.told_at < ROW + self._pause() else 1
        self.told_at = now
        if self.streak < BUSY:
            return
        self.busy_until = now + QUIET + MARGIN
        if now - self.hushed_at > QUIET / 2:
            self.hushed_at = now
            await in_thread(partial(suppress_notifications, self.source.watch), TICKS)

    async def _woken(self) -> None:
        poll = POLL if self.hub.listener.is_listening else POLL_UNHEARD
        try:
            is_busy = self.hub.loop.time() < self.busy_until
            async with asyncio.timeout(min(poll, self.wake_in) if self.position and not is_busy else 0):
                await self.wake.wait()
        except TimeoutError:
            pass

    async def _tick(self) -> None:
        was_called = self.wake.is_set()
        self.wake.clear()
        self.begun += 1
        number = self.begun
        if self.position is None:
            self.position = Cursor.at(await in_thread(self.source.snapshot, TICKS))
        else:
            await self._steps(self.position, was_called)
        self.done = number

    async def _steps(self, cursor: Cursor, was_called: bool) -> None:
        while True:
            step = await in_thread(partial(self.source.read, cursor), TICKS)
            cursor = self._keep(step)
            if not cursor.until:
                break
        if step.tells:
            if self.hub.listener.is_listening and not was_called:  # another server has asked the writers to be quiet
                self.busy_until = self.hub.loop.time() + QUIET + MARGIN
            await self._hush()

    def _keep(self, step: Step) -> Cursor:
        self.wake_in = step.wake_in or POLL
        if step.after != step.before:
            self.steps.append(step)
        self.position = step.after
        return step.after

    def _tell(self) -> None:
        told, self.news = self.news, self.hub.loop.create_future()
        told.set_result(None)
        self.audience.tell(0.8 * self._pause())

    def wake_readers(self) -> None:
        """Let each reader look around now, though there is no news."""
        self.audience.tell(0)

    def _pause(self) -> float:
        return max(self.source.pause, min(CROWDED, self.source.pause * self.readers / CROWD))

    def stop(self) -> None:
        self.is_gone = True
        self.task.cancel()
        self._tell()
        self.audience.stop()


def _forget_failed(texts: dict[Hashable, asyncio.Task[Any]], key: Hashable, task: asyncio.Task[Any]) -> None:
    """The next reader tries anew."""
    if task.cancelled() or task.exception():
        texts.pop(key, None)


class Hub:
    """The topics of one event loop, and the connection that wakes them."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.topics: dict[Source, Topic] = {}
        self.listener = Listener(self._heard)
        self.rights = Rights()
        self.tasks: list[asyncio.Task[None]] = []
        self.is_closed = False

    def join(self, source: Source) -> Topic:
        if not self.tasks:
            self.tasks = [
                self.loop.create_task(work) for work in (self.listener.run(), self._renew(), self.rights.run())
            ]
        if source not in self.topics or self.topics[source].is_gone:
            self.topics[source] = Topic(self, source)
        self.topics[source].readers += 1
        return self.topics[source]

    def leave(self, topic: Topic) -> None:
        topic.readers -= 1
        if topic.readers:
            return
        topic.stop()
        if self.topics.get(topic.source) is topic:
            del self.topics[topic.source]
        if not self.topics:
            self._stop_listening()

    def close(self) -> None:
        """Every stream ends, so that the server can."""
        self.is_closed = True
        for topic in self.topics.values():
            topic.stop()
        self._stop_listening()

    def _stop_listening(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.tasks = []
        self.listener.is_listening = False

    def _heard(self, id: UUID | None) -> None:
        for topic in self.topics.values():
            if id is None or topic.source.watch == id:
                topic.wake.set()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWED)
            ids = {topic.source.watch for topic in self.topics.values()}
            try:
                await in_thread(partial(renew_watches, ids), TICKS)
            except Error as error:
                logger.warning("The watches could not be renewed; streams poll: %s", str(error).strip())


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def get_hub() -> Hub:
    """The running event loop's."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
