"""Calls in a thread with a database connection of its own, as of another process."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread

from django.db import connections


def in_thread[T](call: Callable[[], T], seconds: float = 60) -> T:
    """Return what the call returns. Raises what it raises, and TimeoutError if it does not end in time: it may wait for
    a lock of the caller."""
    found = Future[T]()

    def run() -> None:
        try:
            found.set_result(call())
        except BaseException as error:  # noqa: BLE001  # the caller raises it
            found.set_exception(error)
        finally:
            connections.close_all()

    thread = Thread(target=run, daemon=True)  # which the end of the process does not wait for
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"The call in a thread has not ended after {seconds} seconds.")
    return found.result()
