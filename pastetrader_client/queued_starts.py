"""Start queued runs (`queue=True`). The sending thread repeats their starts until the ledger accepts them. The starts
are never kept in a file: a start must not arrive after the engine has stopped waiting for it."""

import logging
import math
import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Protocol

from .backoff import seconds_to_wait
from .bounded_dict import remember
from .encoding import Fact, encode_transition
from .leases import Leased, Leases
from .run_watch import RunWatch, Watched
from .transport import Refusal, TooLarge, Transport, Unavailable

EVERY = 1.0  # seconds between two requests
MOST_AT_ONCE = 500  # starts of one call
FEW = 3  # successive failed calls after which a call has one start
LOOK = 0.2  # seconds between two checks of a waiting thread for a closed client
WAITS, NOT_YET, FENCED = {"queued", "concurrent_execution"}, "not_found", "fenced"
CANCELLED = "cancelled"
MAX_LOGGED, MOST_SETTLED = 1_000, 10_000

logger = logging.getLogger("pastetrader_client")


class TurnTimedOut(TimeoutError):
    """Raised by the start of a queued run whose turn did not come in `queue_seconds`. The reporter cancels the run,
    which the ledger allows a token with the scope executions:control."""

    def __init__(self, run: str, seconds: float) -> None:
        super().__init__(
            f"It was not the turn of run {run} within {seconds:g} seconds. The ledger was asked to cancel it, which "
            "needs a token with the scope executions:control. Without that the run keeps its place in the queue until "
            "somebody cancels it, or for PENDING_EXPIRE_SECONDS, if the ledger has set them."
        )
        self.run = run


class TurnRefused(Exception):
    """Raised by the start of a queued run if the ledger refuses it, or if the client has stopped sending."""

    def __init__(self, run: str, reason: str) -> None:
        super().__init__(f"Run {run} is not started: {reason}")
        self.run = run


class Queued(Watched, Leased, Protocol):
    """A run of the engine that waits for its turn."""


class Turn:
    """The wait of one run: a thread of the engine waits for the answer that the sending thread gets. `refusal` is the
    reason why the run will not start. It is "" if the run has started, was cancelled or was given to another worker;
    the run object has that state."""

    def __init__(
        self, run: Queued, fields: Mapping[str, object], seconds: float | None, silence: Callable[[], str]
    ) -> None:
        self.run, self.fields, self.seconds, self.silence = run, fields, seconds, silence
        self.until = math.inf if seconds is None else time.monotonic() + seconds
        self.is_over = threading.Event()
        self.refusal = ""
        self.due = 0.0
        self.is_known = False  # by the ledger, according to its answer

    def has_come(self) -> bool:
        """Return whether the run has started, was cancelled, or has another worker. Raises TurnTimedOut or TurnRefused
        if waiting is useless."""
        if self.is_over.is_set() and not self.refusal:
            return True
        if reason := self.refusal or self.silence():
            raise TurnRefused(self.run.id, reason)
        if self.seconds is not None and time.monotonic() >= self.until:
            raise TurnTimedOut(self.run.id, self.seconds)
        return False

    def wait(self) -> None:
        """Wait a moment in this thread."""
        self.is_over.wait(max(0.0, min(LOOK, self.until - time.monotonic())))


class Turns:
    """The waits of all queued runs. `wake` wakes the sending thread; `silence` returns why the thread sends nothing, ""
    if it sends. `gone` has the runs that the ledger refuses. `lock` decides if a start succeeds while the engine gives
    up."""

    def __init__(
        self, transport: Transport, watch: RunWatch, leases: Leases, gone: Container[str], *,
        wake: Callable[[], None], silence: Callable[[], str],
    ) -> None:  # fmt: skip
        self.transport, self.watch, self.leases, self.gone = transport, watch, leases, gone
        self.wake, self.silence = wake, silence
        self.waiting: dict[str, Turn] = {}
        self.lock = threading.RLock()
        self.logged: dict[str, None] = {}
        self.settled: dict[str, None] = {}  # runs whose creation was delivered, refused or dropped
        self.failures, self.rests_until = 0, 0.0

    # --- called by threads of the engine --------------------------------------
    def begin(self, run: Queued, fields: Mapping[str, object], seconds: float | None) -> Turn:
        """Request the start of the run repeatedly, until the wait is over or the engine gives up."""
        turn = self.waiting[run.id] = Turn(run, fields, seconds, self.silence)
        self.wake()
        return turn

    def give_up(self, run: Queued) -> None:
        """Stop requesting the start of the run. If it has started meanwhile, release its lease."""
        with self.lock:
            turn = self.waiting.pop(run.id, None)
            if run.token is not None:
                self.leases.forget(run.token)
        if turn is not None:
            turn.is_over.set()

    # --- the sending thread ---------------------------------------------------
    def ask(self) -> None:
        """Request the starts that are due, and handle the answer. Raises Stopped."""
        now = time.monotonic()
        due = sorted((turn for turn in list(self.waiting.values()) if turn.due <= now), key=lambda turn: turn.due)
        turns = due[: MOST_AT_ONCE if self.failures < FEW else 1]  # one alone: the ledger may fail at another
        if not turns or now < self.rests_until:
            return
        ns = time.time_ns()
        facts = [encode_transition("execution.start", turn.run, None, turn.fields, ns) for turn in turns]
        for turn in turns:
            turn.due = now + EVERY
        try:
            answer = self.transport.send([fact.body for fact in facts])
        except (Unavailable, TooLarge) as error:
            self._rest(error.retry_after if isinstance(error, Unavailable) else None)
            return
        self.failures = 0
        self._handle_answer(turns, facts, {each.index: each for each in answer.refusals})

    def _rest(self, retry_after: float | None) -> None:
        """Back off while the ledger is unavailable."""
        self.failures += 1
        self.rests_until = time.monotonic() + seconds_to_wait(2 * EVERY, self.failures, retry_after)

    def note_settled(self, facts: Iterable[Fact]) -> None:
        """Note creations that were delivered, refused or dropped: the ledger will not know the run later."""
        for fact in facts:
            if fact.kind == "execution.create":
                remember(self.settled, fact.run, most=MOST_SETTLED)

    def seconds_to_next(self, most: float) -> float:
        """Return the seconds until a request is due, at most `most`."""
        now = time.monotonic()
        return min([most, *(max(turn.due, self.rests_until) - now for turn in list(self.waiting.values()))])

    def _handle_answer(self, turns: Sequence[Turn], facts: Sequence[Fact], refused: Mapping[int, Refusal]) -> None:
        for index, (turn, fact) in enumerate(zip(turns, facts, strict=True)):
            refusal = refused.get(index)
            if refusal is not None and self._must_wait(turn, refusal):
                self._log(turn, refusal)
            elif self._take_out(turn, None if refusal else fact):
                self._note(turn, refusal)
                turn.is_over.set()

    def _must_wait(self, turn: Turn, refusal: Refusal) -> bool:
        if refusal.state == CANCELLED:
            return False
        if refusal.code in WAITS:
            turn.is_known = True
            return True
        run = turn.run.id
        return refusal.code == NOT_YET and not (turn.is_known or run in self.settled or run in self.gone)

    def _take_out(self, turn: Turn, start: Fact | None) -> bool:
        """End the wait, and hold the lease of a successful start. Return False if the engine gave up before."""
        with self.lock:
            if self.waiting.get(turn.run.id) is not turn:
                return False
            del self.waiting[turn.run.id]
            if start is not None:
                self.watch.note_fact("execution.start", turn.run, None)
                self.leases.begin(turn.run, None)
                self.leases.note_delivered([start])
            return True

    def _note(self, turn: Turn, refusal: Refusal | None) -> None:
        """Note why the run does not start, in the run or in its turn."""
        if refusal is None:
            return
        if refusal.code == FENCED:
            turn.run.mark_fenced()
        elif refusal.state == CANCELLED:
            turn.run.mark_cancelled()
        else:
            turn.refusal = f"{refusal.code}: {refusal.detail}"

    def _log(self, turn: Turn, refusal: Refusal) -> None:
        """Log once for which run this one waits."""
        if refusal.code in WAITS and turn.run.id not in self.logged:
            remember(self.logged, turn.run.id, most=MAX_LOGGED)
            logger.info("run %s waits for its turn: %s", turn.run.id, refusal.detail)
