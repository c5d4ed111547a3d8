"""The processes of `manage.py serve`, forked from it: what is loaded by then is in memory once."""

import logging
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing import connection, context

from ledgerkit import shared_counts
from pastetrader.metrics import forget_process

logger = logging.getLogger(__name__)

PAUSE = 1.0  # seconds before a worker that ended by itself is replaced
POLL = 0.5  # seconds between two looks whether to stop
PATIENCE = 4.0  # seconds until a worker that does not end is killed
STOP = {signal.SIGINT, signal.SIGTERM}


class Workers:
    """A process for each of the jobs, until this one gets SIGINT or SIGTERM. One that ends by itself is replaced. A job
    has to end at SIGTERM, and where this process is gone."""

    def __init__(self, jobs: Sequence[Callable[[], None]]) -> None:
        self.jobs = jobs
        self.running: dict[int, context.ForkProcess] = {}
        self.is_stopping = False

    def run(self) -> None:
        shared_counts.share_among(len(self.jobs))
        for each in STOP:
            signal.signal(each, self.stop)
        for number in range(len(self.jobs)):
            self._start(number)
        while not self.is_stopping:
            connection.wait([process.sentinel for process in self.running.values()], POLL)
            self._replace()
        self._wait_or_kill()

    def stop(self, *_signal: object) -> None:
        self.is_stopping = True
        for process in self.running.values():
            process.terminate()

    def _wait_or_kill(self) -> None:
        deadline = time.monotonic() + PATIENCE
        for process in self.running.values():
            process.join(max(0, deadline - time.monotonic()))
            if process.exitcode is None:
                logger.error("A worker process did not end in time: it is killed.")
                process.kill()
                process.join()

    def _start(self, number: int) -> None:
        """Start a worker. No signal arrives in between: neither is a new one missed, nor does it call `stop()`."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
        process = context.ForkProcess(target=self._work, args=(number,))
        process.start()
        self.running[number] = process
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)
        if self.is_stopping:
            process.terminate()

    def _work(self, number: int) -> None:
        """Run in the worker, where signals are blocked until it handles them itself."""
        shared_counts.become(number)
        self.jobs[number]()

    def _replace(self) -> None:
        ended = [number for number, process in self.running.items() if process.exitcode is not None]
        if self.is_stopping or not ended:
            return
        for number in ended:
            process = self.running[number]
            logger.error("A worker process ended (%s); another one is started.", process.exitcode)
            forget_process(process.pid)
        time.sleep(PAUSE)
        for number in ended:
            if not self.is_stopping:
                self._start(number)
