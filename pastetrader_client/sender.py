"""The sending thread. The engine's threads only add to the outbox."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from .backoff import seconds_to_wait
from .batches import Batches
from .encoding import Draft, Fact, draft_of, encode
from .facts_awaiting_creation import AGAIN, PATIENCE, without_runs_of
from .failing_facts import FailingFacts
from .leases import Leases
from .outbox import TICK, Outbox
from .process_exit import hold, release
from .queued_starts import Turns
from .run_watch import RunWatch
from .spill_thread import SpillThread
from .spool import Spool
from .timers import Timers
from .transport import THREAD, Stopped, Transport, Unavailable

MOST, MOST_BYTES = 2_000, 2_000_000  # facts and bytes of one call
IDLE = 1.0  # seconds between checks for idle runs
FIRST = 0.25  # seconds of the first backoff
CLOSING = 0.3  # longest backoff while the process waits to end
POLL = 0.005
NOT_ALL = "not everything was delivered: %s keep the rest, %d facts are lost, the count is missing for %d runs"

logger = logging.getLogger("pastetrader_client")


class Sender:
    """Taken but undelivered facts are in `pending` or at the head of the spool. `lock` protects these two. No network
    call is made while it is held, but facts are encoded and files read and written: of the engine's calls, only flush()
    and close() take it."""

    def __init__(
        self, outbox: Outbox, spool: Spool, transport: Transport, watch: RunWatch, exit_seconds: float
    ) -> None:
        self.exit_seconds = exit_seconds
        self.outbox, self.spool, self.transport, self.watch = outbox, spool, transport, watch
        self.leases = Leases()
        self.batches = Batches(transport, watch, self.leases)
        self.failing = FailingFacts(self.batches, outbox)
        self.turns = Turns(
            transport, watch, self.leases, self.batches.gone, wake=self.wake_now, silence=self._reason_of_silence
        )
        self.stopped = ""
        self.lock, self.start_lock = threading.RLock(), threading.RLock()
        outbox.wake = self.wake
        self.pending: list[Fact] = []
        self.from_spool = self.is_early = False
        self.patience = PATIENCE  # seconds for which facts from files wait for the creation of their run
        self.failures, self.said = 0, ""
        self.closing = self.is_new = self.is_abandoned = False
        self.thread: threading.Thread | None = None
        self.spill_thread: SpillThread | None = None
        self.timers = Timers()

    # --- called by threads of the engine --------------------------------------
    def wake(self) -> None:
        """Wake the thread, or start it."""
        if self.thread is None:
            self.start()
        else:
            self.outbox.is_asleep = False  # a single call wakes it
            self.outbox.wakes.put(None)

    def wake_now(self) -> None:
        """Let the thread check at once for work."""
        if self.thread is None:
            self.start()
        self.outbox.end_wait()

    def _reason_of_silence(self) -> str:
        return self.stopped or ("the client is closed" if self.closing else "")

    def start(self) -> None:
        """Start the thread. If the interpreter is ending, no thread starts, and the facts go to the spool."""
        if not self._start_thread():
            self._take_over()
            self._spill()

    def _start_thread(self) -> bool:
        with self.start_lock:
            if self.thread is not None:
                return True
            self.closing, self.is_new = False, True
            self.thread = thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                self.thread = None
                return False
            self.outbox.is_asleep = False
            hold(self)
            return True

    def call_later(self, seconds: float, function: Callable[[Any], object]) -> None:
        """Call the function in the sending thread, with `http` of the transport."""
        self.timers.add(seconds, function)
        self.wake_now()

    def flush(self, seconds: float) -> bool:
        """Wait until everything is delivered. Return whether it is."""
        until = time.monotonic() + seconds
        self.outbox.end_wait()
        while not (idle := self.is_idle()) and time.monotonic() < until and not self.stopped:
            time.sleep(POLL)
        return idle

    def close(self, seconds: float) -> None:
        """Deliver facts for at most `seconds`; the rest goes to the spool."""
        if self.thread is None and self.is_idle():
            return
        self.closing = True
        self.flush(seconds)
        with self.lock:
            with self.start_lock:  # not held while files are written: add() takes it to start the thread again
                self.thread = None
                self.outbox.is_asleep = True
                release(self)
            self._spill()
            unsaid = self.spool.write_last(self.outbox.take_lines_of_dropped())
            left = len(self.pending) * (not self.from_spool) + len(self.outbox.facts)
            if self.spool or left or unsaid:
                where = f"{len(self.spool.files)} files in {self.spool.directory}" if self.spool else "nowhere"
                logger.warning(NOT_ALL, where, left, unsaid)
            self.spool.leave()
            if self.from_spool:
                self.pending, self.from_spool = [], False
        self.outbox.end_wait()
        self.outbox.end_filling()

    def end_when_idle(self) -> None:
        """Let the thread end after it has delivered everything, because nothing refers to the client any more."""
        self.is_abandoned = True
        self.outbox.end_wait()

    def leave_in_child(self) -> None:
        """Leave files and connections to the parent of this forked process."""
        self.spool.leave()
        self.transport.forget_connections()

    def is_own_thread(self, ident: int | None) -> bool:
        threads = (self.thread, self.spill_thread.thread if self.spill_thread is not None else None)
        return any(each is not None and each.ident == ident for each in threads)

    def is_idle(self) -> bool:
        with self.lock:
            return not (self.is_new or self.pending or self.spool or self.outbox.facts)

    # --- the thread ------------------------------------------------------------
    @property
    def is_over(self) -> bool:
        """Return whether the current thread has to end. Another one may have been started since."""
        return self.thread is not threading.current_thread()

    def _run(self) -> None:
        self._keep()
        while not self.is_over:
            try:
                self._step()
            except Stopped as error:
                logger.error("%s. Nothing is sent any more.", error)
                self.stopped = str(error)  # flush() returns after this
            except Exception:  # an error of the reporter must not end the thread
                logger.exception("the reporter failed; it tries again")
                self.outbox.wait(IDLE)
        if self.thread is None:
            self.transport.close()

    def _step(self) -> None:
        if self.is_new:
            self._take_over()
        self.outbox.report_dropped()
        if self.is_abandoned and (self.stopped or (self.is_idle() and not self.timers)):
            self.close(0)
            return
        if self.stopped:
            self.outbox.wait(CLOSING)
            return
        if not self.failures:
            self.timers.call_due(lambda: self.transport.http)
        self.batches.send_heartbeats()
        if not self.pending:
            self.turns.ask()
        if not self.pending and not self.spool:
            self.outbox.wait_for_batch(self._idle())
        if facts := self._take():
            self._deliver(facts)

    def _idle(self) -> float:
        return self.turns.seconds_to_next(self.leases.seconds_to_next(self.timers.seconds_to_next(IDLE)))

    def _take(self) -> list[Fact]:
        """Return the facts to deliver next: pending ones, else from files, else from memory."""
        with self.lock:
            if self.is_over:
                return []
            if not self.pending:
                self.pending = self.spool.read(MOST, MOST_BYTES)
                self.from_spool = bool(self.pending)
                self.patience = self.patience if self.from_spool else PATIENCE
            if not self.pending or (self.is_early and not self.from_spool and len(self.pending) < MOST):
                self.pending = [*self.pending, *self._take_from_memory(), *self.watch.due()]
            return self.pending

    def _take_from_memory(self) -> list[Fact]:
        return [fact for draft in self.outbox.take(MOST, MOST_BYTES) if (fact := self._encode(draft)) is not None]

    def _encode(self, draft: Draft) -> Fact | None:
        """Encode a fact, and watch its run or node. A fact that cannot be encoded must not stop the others."""
        try:
            self.batches.note_reported(draft)
            return encode(draft)
        except Exception:
            logger.exception("a fact cannot be encoded: %s", draft[1])
            return None

    def _deliver(self, facts: list[Fact]) -> None:
        early = self.batches.early
        early.is_patient = not self.from_spool or self.patience > 0
        try:
            self.failing.send(facts)
        except Unavailable as error:
            early.take()
            self._back_off(error)
        else:
            if self.failures:
                logger.warning("the ledger can be reached again")
            self.failures = 0
            waiting = early.take()
            delivered = without_runs_of(facts, waiting)
            self.leases.note_delivered(delivered)
            self.turns.note_settled(delivered)
            self._settle(waiting)
            if waiting:
                self.outbox.wait(AGAIN)

    def _settle(self, waiting: list[Fact]) -> None:
        """Forget delivered facts. Facts that wait for their run are sent again: those from memory with newer facts,
        those from a file with all facts that were read with them, because only the file holds them."""
        with self.lock:
            if self.is_over:
                return
            if self.from_spool and waiting:
                self.patience -= AGAIN
                return
            if self.from_spool:
                self.spool.advance()
            self.pending, self.from_spool, self.is_early = waiting, False, bool(waiting)

    def _back_off(self, error: Unavailable) -> None:
        self.failures += 1
        if self.failures == 1 or error.sentence != self.said:
            self.said = error.sentence
            logger.warning(error.sentence, error)
        until = time.monotonic() + seconds_to_wait(FIRST, self.failures, error.retry_after)
        began = time.monotonic()
        while (rest := until - time.monotonic()) > 0 and not self.is_over:
            if self.closing and error.retry_after is None and time.monotonic() > began + CLOSING:
                return
            if self.batches.send_heartbeats() and error.retry_after is None:
                return
            self.outbox.wait(min(rest, TICK))

    # --- the spool -------------------------------------------------------------
    def _take_over(self) -> None:
        """Take over the files of earlier processes. The thread does this first, so that no thread of the engine waits
        for it."""
        with self.lock:
            self.is_new = False
            if not self.is_over:
                self.spool.take_over()

    def _keep(self) -> None:
        """Start the thread that moves facts to files, if there is a directory for them."""
        if self.spool.directory is not None:
            thread = self.thread
            self.spill_thread = SpillThread(
                self.outbox, self._spill_if_full, lambda: thread is not None and self.thread is thread
            )

    def _spill_if_full(self) -> None:
        if self.outbox.is_half_full and not self.is_new:
            self._spill()

    def _spill(self) -> None:
        """Move the facts in memory to the spool, after the pending ones, as far as there is room."""
        with self.lock:
            if self.pending and not self.from_spool:
                self.from_spool = self.spool.write_sent(self.pending)
            while self.outbox.facts and (self.from_spool or not self.pending):
                facts = self._take_from_memory()
                if facts and not self.spool.write(facts):
                    self.outbox.put_back([draft_of(fact) for fact in facts])
                    return
