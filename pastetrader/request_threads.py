"""Threads that work on requests, and the requests that wait for one of them."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

type Work = tuple[Future[Any], Context, Callable[..., Any], tuple[object, ...]]
type OwnQueue = SimpleQueue[Work | None]


class QueueFull(Exception):
    pass


class QueueLeft(Exception):  # not an error: nobody waits for the response
    pass


class RequestThreads:
    """`most` threads, for which at most `queue` requests wait.

    The thread that became idle last works on the next request, and no other wakes up. Threads of a ThreadPoolExecutor
    wait at one queue and take turns, and each that takes a request wakes another, which finds none and wants Python's
    lock meanwhile (`python -m benches.request_threads`).
    """

    def __init__(self, most: int, queue: int, name: str) -> None:
        self.most, self.queue, self.name = most, queue, name
        self.under_way: set[Future[Any]] = set()  # requests in threads, or that wait for one
        self.waiting: deque[Work] = deque()
        self.idle: list[OwnQueue] = []  # of the threads without a request
        self.lock, self.started, self.is_stopped = Lock(), 0, False

    async def call[T](self, function: Callable[..., T], *args: object, leaves: Any = None) -> T:
        """Call `function` in a thread. Context variables, such as the language, are of this call alone. Raises
        QueueFull, or QueueLeft if `leaves()` returns before there is a thread for it."""
        if self.is_stopped or len(self.under_way) >= self.most + self.queue:
            raise QueueFull
        future: Future[T] = Future()
        self.under_way.add(future)
        future.add_done_callback(self.under_way.discard)
        work: Work = future, copy_context(), function, args
        with self.lock:
            if self.idle:
                self.idle.pop().put(work)
            elif self.started == self.most or not self._start(work):
                self.waiting.append(work)
        result = asyncio.wrap_future(future)
        if leaves is not None and len(self.under_way) > self.most:
            await _wait_in_queue(future, result, leaves)
        return await result

    def stop(self) -> bool:
        """Drop the requests that wait, and end the threads. Return whether some still work."""
        with self.lock:
            self.is_stopped = True
            for queue in self.idle:
                queue.put(None)
        working = [future for future in self.under_way.copy() if not (future.cancel() or future.done())]
        return bool(working)

    def _start(self, work: Work) -> bool:
        """Start a thread with a request, and return whether there is a thread for it. Raises RuntimeError if there is
        none at all. Threads are daemons: Python would wait for idle ones too before it ends."""
        own: OwnQueue = SimpleQueue()
        own.put(work)
        try:
            Thread(target=self._work, args=(own,), name=f"{self.name}_{self.started + 1}", daemon=True).start()
        except RuntimeError:  # the system starts no more of them
            if not self.started:
                work[0].cancel()
                raise
            return False
        self.started += 1
        return True

    def _work(self, own: OwnQueue) -> None:
        while work := own.get():
            future, context, function, args = work
            outcome: Any = None
            error: BaseException | None = None
            is_wanted = future.set_running_or_notify_cancel()
            try:
                outcome = context.run(function, *args) if is_wanted else None
            except BaseException as raised:  # noqa: BLE001  # it is raised where the call is awaited
                error = raised
            with self.lock:  # before the next request comes, which follows the response
                if self.waiting:
                    own.put(self.waiting.popleft())
                else:
                    own.put(None) if self.is_stopped else self.idle.append(own)
            if is_wanted:
                future.set_exception(error) if error is not None else future.set_result(outcome)
            del work, future, context, function, args, outcome, error  # a thread that waits keeps nothing


async def _wait_in_queue(future: Future[Any], result: asyncio.Future[Any], leaves: Callable[[], Any]) -> None:
    """Wait for the result. Cancel the work if its client leaves before a thread has begun with it. Raises QueueLeft."""
    leaving = asyncio.ensure_future(leaves())
    await asyncio.wait([leaving, result], return_when=asyncio.FIRST_COMPLETED)
    if not leaving.done():
        leaving.cancel()
    elif future.cancel():
        raise QueueLeft
