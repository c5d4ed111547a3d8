"""The end of the process, fork, and SIGTERM."""

import atexit
import multiprocessing.process
import multiprocessing.util
import os
import signal
import threading
import weakref
from types import FrameType
from typing import Protocol


class Client(Protocol):
    def close(self) -> None: ...

    def begin_in_child(self) -> None: ...


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def register(client: Client, *, sigterm: bool) -> None:
    """Close the client at the end of the process, and begin it anew in a forked one."""
    _clients.add(client)
    if sigterm and threading.current_thread() is threading.main_thread():
        exit_on_sigterm()


def exit_on_sigterm() -> None:
    """Turn SIGTERM into SystemExit, unless the program handles it: runs fail with that, and exit handlers run."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def finish_in_child() -> None:
    """Close the clients at the end of a process of multiprocessing, which does not call atexit."""
    if multiprocessing.process.parent_process() is not None:
        multiprocessing.util.Finalize(None, _close_all, exitpriority=10)


@atexit.register
def _close_all() -> None:
    for client in list(_clients):
        client.close()


def _begin_in_child() -> None:
    for client in list(_clients):
        client.begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
