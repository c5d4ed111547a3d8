"""The end of the process, fork, and SIGTERM."""

import atexit
import multiprocessing.process
import multiprocessing.util
import os
import signal
import threading
import time
import weakref
from types import FrameType
from typing import Protocol


class Client(Protocol):
    def begin_in_child(self) -> None: ...


class Sender(Protocol):
    exit_seconds: float

    def close(self, seconds: float) -> None: ...

    def leave_in_child(self) -> None: ...


_clients: weakref.WeakSet[Client] = weakref.WeakSet()
_senders: set[Sender] = set()  # senders with a thread: their clients may be gone while facts wait


def register(client: Client, *, sigterm: bool) -> None:
    """Reset the client in a forked process, and handle SIGTERM if wanted."""
    _clients.add(client)
    if sigterm and threading.current_thread() is threading.main_thread():
        exit_on_sigterm()


def exit_on_sigterm() -> None:
    """Turn SIGTERM into SystemExit, unless the program handles it: runs fail with SystemExit, and exit handlers run."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def hold(sender: Sender) -> None:
    """Close the sender at the end of the process, unless release() is called before."""
    _senders.add(sender)
    _finish_in_child()


def release(sender: Sender) -> None:
    _senders.discard(sender)


def _finish_in_child() -> None:
    """Close the senders at the end of a process of multiprocessing, which does not call atexit."""
    if multiprocessing.process.parent_process() is not None:
        multiprocessing.util.Finalize(None, _close_all, exitpriority=10)


@atexit.register
def _close_all() -> None:
    began = time.monotonic()  # the seconds of all senders run at the same time
    for sender in list(_senders):
        sender.close(max(0.0, began + sender.exit_seconds - time.monotonic()))


def _begin_in_child() -> None:
    for sender in list(_senders):
        sender.leave_in_child()
    _senders.clear()
    for client in list(_clients):
        client.begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
