"""Threads that work on requests, and the requests that wait for one of them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any


class QueueFull(Exception):
    pass


class QueueLeft(Exception):  # not an error: nobody waits for the response
    pass


class RequestThreads:
    """`most` threads, for which at most `queue` requests wait."""

    def __init__(self, most: int, queue: int, name: str) -> None:
        self.most, self.queue = most, queue
        self.executor = ThreadPoolExecutor(most, thread_name_prefix=name)
        self.under_way: set[Future[Any]] = set()  # requests in threads, or that wait for one

    async def call[T](self, function: Callable[..., T], *args: object, leaves: Any = None) -> T:
        """Call `function` in a thread. Context variables, such as the language, are of this call alone. Raises
        QueueFull, or QueueLeft if `leaves()` returns before there is a thread for it."""
        if len(self.under_way) >= self.most + self.queue:
            raise QueueFull
        future = self.executor.submit(copy_context().run, function, *args)
        self.under_way.add(future)
        future.add_done_callback(self.under_way.discard)
        result = asyncio.wrap_future(future)
        if leaves is not None and len(self.under_way) > self.most:
            await _wait_in_queue(future, result, leaves)
        return await result

    def stop(self) -> bool:
        """Drop the requests that wait. Return whether threads still work, for which Python waits before it ends."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        return any(future.running() for future in self.under_way.copy())


async def _wait_in_queue(future: Future[Any], result: asyncio.Future[Any], leaves: Callable[[], Any]) -> None:
    """Wait for the result. Cancel the work if its client leaves before a thread has begun with it. Raises QueueLeft."""
    leaving = asyncio.ensure_future(leaves())
    await asyncio.wait([leaving, result], return_when=asyncio.FIRST_COMPLETED)
    if not leaving.done():
        leaving.cancel()
    elif future.cancel():
        raise QueueLeft
