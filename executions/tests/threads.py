"""Calls in a thread with a database connection of its own, as of another process."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread

from django.db import connections


def in_thread[T](call: Callable[[], T], seconds: float = 60) -> T:
    """Return what the call returns. Raises what it raises, and TimeoutError if it does not end in time: it may wait for
    a lock of the caller."""
    found = start_in_thread(call)
    wait([found], seconds)
    if not found.done():
        raise TimeoutError(f"The call in a thread has not ended after {seconds} seconds.")
    return found.result()


def start_in_thread[T](call: Callable[[], T]) -> Future[T]:
    """Start the call and return its future result."""
    found = Future[T]()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  # the caller raises it
            connections.close_all()
            found.set_exception(error)
        else:
            connections.close_all()
            found.set_result(result)

    Thread(target=run, daemon=True).start()  # the end of the process does not wait for it
    return found
