"""Calls in a thread with a database connection of its own, as of another process."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import connections


def in_thread[T](call: Callable[[], T]) -> T:
    """Return what the call returns. Raises what it raises."""

    def run() -> T:
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(run).result()
