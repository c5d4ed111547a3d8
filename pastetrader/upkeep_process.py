"""The process of `manage.py serve` that does upkeep. It ends at once on a signal, and if its parent is gone."""

import os
import signal
import threading
import time
from functools import partial
from multiprocessing import parent_process

from django.conf import settings

from alerts.upkeep import repeat_messages, repeat_scans
from executions.upkeep.loop import repeat_bulk_actions, repeat_error_groups, repeat_overdue, repeat_upkeep
from local_postgres.server import ensure
from pastetrader.server import WATCH_EVERY
from pastetrader.workers import STOP

CONNECTIONS = 7  # in its pool, one for each thread; the lock of upkeep and log retention have one each


def run_upkeep() -> None:
    """Do upkeep until SIGINT or SIGTERM. A statement that is under way is cancelled."""
    for each in STOP:
        signal.signal(each, _interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
    settings.POOL.update(min_size=0, max_size=CONNECTIONS)
    try:
        _end_with_parent()
        ensure(settings.DATABASES["default"])  # a lease of its own
        threading.Thread(target=repeat_overdue, daemon=True, name="overdue").start()
        threading.Thread(target=repeat_scans, daemon=True, name="alerts").start()
        for is_failing in (False, True):
            repeated = partial(repeat_messages, is_failing=is_failing)
            threading.Thread(target=repeated, daemon=True, name="messages").start()
        threading.Thread(target=repeat_bulk_actions, daemon=True, name="bulk actions").start()
        threading.Thread(target=repeat_error_groups, daemon=True, name="error-groups").start()
        repeat_upkeep()
    except KeyboardInterrupt:
        pass


def _interrupt(*_signal: object) -> None:
    """Raise KeyboardInterrupt, on which psycopg cancels the statement in progress. Later signals call an empty handler:
    with SIG_IGN Python would complain about one that arrived before it was set."""
    for each in STOP:
        signal.signal(each, lambda *_: None)
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    if parent := parent_process():
        arguments = (parent.pid, threading.get_ident())
        threading.Thread(target=_interrupt_after, args=arguments, daemon=True, name="parent").start()


def _interrupt_after(parent: int | None, thread: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_EVERY)
    signal.pthread_kill(thread, signal.SIGTERM)
