"""Threads for the database access of streams, because a query must not block the event loop that all streams share.

A connection is closed after each query: an open stream holds none.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connections

# Separate pools, so that many requests at once do not delay the readers of open streams.
READER_THREADS = ThreadPoolExecutor(2, thread_name_prefix="live-tick")
REQUEST_THREADS = ThreadPoolExecutor(2, thread_name_prefix="live-visit")


async def in_thread[T](work: Callable[[], T], threads: ThreadPoolExecutor = REQUEST_THREADS) -> T:
    """Run `work()` in a thread and return its result."""
    return await asyncio.get_running_loop().run_in_executor(threads, _alone, work)


def _alone[T](work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        connections.close_all()


async def release_connection() -> None:
    """Release what Django holds for a request until the end of its response: its database connection and its thread.
    Work that is sent to that thread later gets a new one."""
    await sync_to_async(connections.close_all)()
    context = SyncToAsync.thread_sensitive_context.get(None)
    threads = SyncToAsync.context_to_thread_executor.pop(context, None) if context else None
    if threads:
        threads.shutdown(wait=False)
