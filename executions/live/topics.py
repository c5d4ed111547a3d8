"""Topics: all readers of the same source share one reading. A Topic reads each step once, renders it once for each kind
of reader, and keeps the last steps for readers to fetch. A slow reader delays nobody: if its position is older than the
kept steps, it reads from its own cursor until it has caught up."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import Error

from .access_changes import AccessWatch
from .cursor import Cursor
from .db_threads import READER_THREADS, in_thread
from .listener import QUIET_SECONDS, RENEW_EVERY, Listener, renew_watches, suppress_notifications, watch
from .reader import RunDeleted, Source, Step
from .waiting_readers import WaitingReaders

POLL = 5.0  # seconds between two steps without a notification, which may be lost, or sent before the watch is stored
POLL_NOT_LISTENING = 1.0  # seconds, while the listener is down
KEPT_STEPS = 16
BUSY_STEPS = 3  # successive steps with news that make a source busy
BUSY_GAP = 1.0  # seconds, beside the pause; steps that are further apart are not successive
BUSY_MARGIN = 1.0  # seconds to keep polling after notifications resume: a transaction may have written without one
MANY_READERS = 25  # with more readers, steps are further apart, up to MAX_PAUSE
MAX_PAUSE = 1.8  # seconds; at 1,000 lines a second, a step still holds all of them

logger = logging.getLogger(__name__)


class Topic:
    """Shared state of the readers of one source. It runs on the event loop, except for reading and rendering."""

    def __init__(self, registry: "TopicRegistry", source: Source) -> None:
        self.registry, self.source = registry, source
        self.readers = 0
        self.position: Cursor | None = None
        self.steps: deque[Step] = deque(maxlen=KEPT_STEPS)
        self.wake = asyncio.Event()
        self.news = registry.loop.create_future()
        self.waiting = WaitingReaders(registry.loop)
        self.ticks_begun = self.ticks_done = 0
        self.is_over = False
        self.wake_in = POLL
        self.busy_steps, self.last_news_at, self.suppressed_at, self.busy_until = 0, 0.0, 0.0, 0.0
        self.reads: dict[Cursor, asyncio.Task[Step]] = {}
        self.task = registry.loop.create_task(self._run())

    async def next_step(self, cursor: Cursor, due: float) -> Step | None:
        """Return the next step of a reader at `cursor`. None if there is none by `due`, or if it could not be read.
        Raises RunDeleted."""
        if self.position is not None and cursor == self.position:
            await self.waiting.wait(due)
        if self.is_over:
            raise RunDeleted
        if step := next((step for step in self.steps if step.before == cursor), None):
            return step
        return None if cursor == self.position else await self._catch_up(cursor)

    async def render_once(self, step: Step, key: Hashable, render: Callable[[Step], object]) -> object:
        """Return the step as rendered by `render`, once for all readers with this key."""
        if (made := step.texts.get(key)) and made.done():
            return made.result()
        if not made:
            step.texts[key] = self.registry.loop.create_task(in_thread(partial(render, step)))
            step.texts[key].add_done_callback(partial(_forget_failed, step.texts, key))
        return await asyncio.shield(step.texts[key])

    async def _catch_up(self, cursor: Cursor) -> Step | None:
        """Read the next step for a reader that is not at the topic's position. It goes up to a snapshot of the topic
        that is newer than the cursor, which may come from a page rendered a moment ago: reading backwards would repeat
        events."""
        if (until := await self._fresh_snapshot()) is None:
            return None
        if cursor not in self.reads:
            self.reads[cursor] = self.registry.loop.create_task(in_thread(partial(self.source.read, cursor, until)))
            self.reads[cursor].add_done_callback(lambda _task: self.reads.pop(cursor, None))
        try:
            return await asyncio.shield(self.reads[cursor])
        except Error as error:
            logger.warning("A stream could not be read on; it tries again: %s", str(error).strip())
            await asyncio.sleep(POLL_NOT_LISTENING)
            return None

    async def _fresh_snapshot(self) -> str | None:
        """Return a snapshot that the topic took after this call. None if the topic ends or takes none in time."""
        wanted = self.ticks_begun + 1
        while self.ticks_done < wanted:
            if self.is_over or self.registry.is_closed:
                return None
            self.wake.set()
            done, _waiting = await asyncio.wait([self.news], timeout=POLL)
            if not done:  # the database is unreachable: let the reader send a heartbeat
                return None
        return self.position.lines if self.position else None

    async def _run(self) -> None:
        is_watched = False
        while not self.is_over:
            try:
                if not is_watched:
                    await self._watch()
                    is_watched = True
                await self._wait_for_tick()
                await self._tick()
            except RunDeleted:
                self.is_over = True
            except Error as error:
                logger.warning("A stream could not be read; it tries again: %s", str(error).strip())
                await asyncio.sleep(POLL_NOT_LISTENING)
            except Exception:  # of any kind: otherwise all readers of this topic would wait for ever
                logger.exception("A stream could not be read; it tries again.")
                await asyncio.sleep(POLL)
            self._notify_readers()
            await asyncio.sleep(self._pause())

    async def _watch(self) -> None:
        if await in_thread(partial(watch, [self.source.watch]), READER_THREADS):
            self.busy_until = self.registry.loop.time() + QUIET_SECONDS + BUSY_MARGIN

    async def _suppress_notifications(self) -> None:
        """Suppress notifications about a busy source, which is polled instead. Called after a step with events."""
        now = self.registry.loop.time()
        self.busy_steps = self.busy_steps + 1 if now - self.last_news_at < BUSY_GAP + self._pause() else 1
        self.last_news_at = now
        if self.busy_steps < BUSY_STEPS:
            return
        self.busy_until = now + QUIET_SECONDS + BUSY_MARGIN
        if now - self.suppressed_at > QUIET_SECONDS / 2:
            self.suppressed_at = now
            await in_thread(partial(suppress_notifications, self.source.watch), READER_THREADS)

    async def _wait_for_tick(self) -> None:
        poll = POLL if self.registry.listener.is_listening else POLL_NOT_LISTENING
        try:
            is_busy = self.registry.loop.time() < self.busy_until
            async with asyncio.timeout(min(poll, self.wake_in) if self.position and not is_busy else 0):
                await self.wake.wait()
        except TimeoutError:
            pass

    async def _tick(self) -> None:
        was_notified = self.wake.is_set()
        self.wake.clear()
        self.ticks_begun += 1
        number = self.ticks_begun
        if self.position is None:
            self.position = Cursor.at(await in_thread(self.source.snapshot, READER_THREADS))
        else:
            await self._read_steps(self.position, was_notified)
        self.ticks_done = number

    async def _read_steps(self, cursor: Cursor, was_notified: bool) -> None:
        while True:
            step = await in_thread(partial(self.source.read, cursor), READER_THREADS)
            cursor = self._keep(step)
            if not cursor.until:
                break
        if step.has_events:
            if self.registry.listener.is_listening and not was_notified:  # another server has suppressed notifications
                self.busy_until = self.registry.loop.time() + QUIET_SECONDS + BUSY_MARGIN
            await self._suppress_notifications()

    def _keep(self, step: Step) -> Cursor:
        self.wake_in = step.wake_in or POLL
        if step.after != step.before:
            self.steps.append(step)
        self.position = step.after
        return step.after

    def _notify_readers(self) -> None:
        news, self.news = self.news, self.registry.loop.create_future()
        news.set_result(None)
        self.waiting.wake_all(0.8 * self._pause())

    def wake_readers(self) -> None:
        """Wake each reader now, so that it checks its access."""
        self.waiting.wake_all(0)

    def _pause(self) -> float:
        return max(self.source.pause, min(MAX_PAUSE, self.source.pause * self.readers / MANY_READERS))

    def stop(self) -> None:
        self.is_over = True
        self.task.cancel()
        self._notify_readers()
        self.waiting.stop()


def _forget_failed(texts: dict[Hashable, asyncio.Task[object]], key: Hashable, task: asyncio.Task[object]) -> None:
    """Remove a failed rendering, so that the next reader tries again."""
    if task.cancelled() or task.exception():
        texts.pop(key, None)


class TopicRegistry:
    """The topics of one event loop, their listener and the access rights of their readers."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.topics: dict[Source, Topic] = {}
        self.listener = Listener(self._on_notification)
        self.access = AccessWatch()
        self.tasks: list[asyncio.Task[None]] = []
        self.is_closed = False

    def join(self, source: Source) -> Topic:
        if not self.tasks:
            self.tasks = [
                self.loop.create_task(work) for work in (self.listener.run(), self._renew(), self.access.run())
            ]
        if source not in self.topics or self.topics[source].is_over:
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
        """End every stream, so that the server can stop."""
        self.is_closed = True
        for topic in self.topics.values():
            topic.stop()
        self._stop_listening()

    def _stop_listening(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.tasks = []
        self.listener.is_listening = False

    def _on_notification(self, id: UUID | None) -> None:
        for topic in self.topics.values():
            if id is None or topic.source.watch == id:
                topic.wake.set()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            ids = {topic.source.watch for topic in self.topics.values()}
            try:
                await in_thread(partial(renew_watches, ids), READER_THREADS)
            except Error as error:
                logger.warning("The watches could not be renewed; streams poll: %s", str(error).strip())


_registries: WeakKeyDictionary[asyncio.AbstractEventLoop, TopicRegistry] = WeakKeyDictionary()


def get_registry() -> TopicRegistry:
    """Return the registry of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _registries:
        _registries[loop] = TopicRegistry()
    return _registries[loop]
