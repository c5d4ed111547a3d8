"""Isolate facts that make the ledger answer 500 to every call that contains them, so that they do not delay others."""

import logging
import time
from collections.abc import Iterator, Sequence

from .batches import Batches, send_in_halves
from .encoding import Fact, draft_of, encode, fact_of, moment
from .ids import uuid7
from .outbox import Outbox
from .transport import Failed, Refusal, TooLarge

FEW = 3  # successive answers of 500 after which a batch is sent in parts
MOST_ALONE = 3  # facts that fail alone before other facts are tried: the ledger may fail at everything
MOST_OTHERS = 5  # facts in memory to try
ANY_TIME = {"execution.create", "log"}  # kinds that may arrive before earlier facts
DROPPED = "A fact of this run was dropped by the reporter: the ledger fails at it (%s)."
REFUSAL = Refusal(0, "internal_error", "the ledger fails at it, and takes others; it is dropped")

logger = logging.getLogger("pastetrader_client")


class FailingFacts:
    """Sends batches without the single facts at which the ledger fails. A fact is dropped only if it fails again after
    another fact was taken: if the ledger fails at everything, nothing is dropped.

    `failures` counts successive answers of 500. `alone` has the facts that failed alone, `found` the ones among them
    that failed again after another fact was taken, `lines` the log lines that report these.
    """

    def __init__(self, batches: Batches, outbox: Outbox) -> None:
        self.batches, self.outbox = batches, outbox
        self.failures = 0
        self.alone: list[Fact] = []
        self.found: list[Fact] = []
        self.lines: dict[bytes, Fact] = {}

    def send(self, facts: Sequence[Fact]) -> None:
        """Send the facts, in parts after FEW failures. Raises Unavailable or Stopped; all have to be sent again
        then."""
        try:
            if self.failures < FEW:
                self._send(facts)
            else:
                self._send_in_parts(facts)
        except Failed:
            self.failures += 1
            raise
        self.failures = 0
        self.lines.clear()

    def _send(self, facts: Sequence[Fact]) -> None:
        try:
            self.batches.send(facts)
        except TooLarge as error:
            logger.debug("a batch of %d facts was not taken: %s", len(facts), error)
            send_in_halves(self._send, facts)

    def _send_in_parts(self, facts: Sequence[Fact]) -> None:
        self.alone, self.found = [], []
        self._send_part(facts)
        if self.alone:
            self._try_others()
        for fact in self.found:
            self._drop(fact)

    def _send_part(self, facts: Sequence[Fact]) -> None:
        before = self.batches.taken
        try:
            self._send(facts)
        except Failed:
            if len(facts) > 1:
                send_in_halves(self._send_part, facts)
                return
            self.alone.append(facts[0])
            if len(self.alone) >= MOST_ALONE:
                self._try_others()
        else:
            if self.batches.taken > before:
                self._blame()

    def _blame(self) -> None:
        """Send the facts that failed alone again, now that the ledger takes others."""
        alone, self.alone = self.alone, []
        for fact in alone:
            try:
                self._send([fact])
            except Failed:
                self.found.append(fact)

    def _try_others(self) -> None:
        """Send other facts until one is taken. Raises Failed if none is: the ledger fails at everything."""
        for fact in self._others():
            try:
                answer = self.batches.transport.send([fact.body])
            except (Failed, TooLarge):
                continue
            if answer.applied or answer.known:
                self._blame()
                return
        raise Failed("answer 500 to everything")

    def _others(self) -> Iterator[Fact]:
        """Yield the lines that report failed facts, then facts in memory, which are sent again later in order."""
        yield from filter(None, map(self._line_of, self.alone))
        for draft in self.outbox.first(MOST_OTHERS):
            if draft[1] in ANY_TIME and (fact := encode(draft)) is not None:
                yield fact

    def _line_of(self, fact: Fact) -> Fact | None:
        """Return the log line that reports the dropped fact, always with the same id. None if the fact is such a line
        itself."""
        if fact.body in self.lines:
            return self.lines[fact.body]
        if not fact.run or DROPPED.partition("%")[0].encode() in fact.body:
            return None
        ns = time.time_ns()
        of_run = {"id": uuid7(ns), "workflow_execution": fact.run, "level": "warning", "at": moment(ns)}
        line = fact_of(fact.run, "log", "", {**of_run, "message": DROPPED % fact.kind, "data": {"dropped": 1}})
        self.lines[fact.body] = line
        return line

    def _drop(self, fact: Fact) -> None:
        self.batches.leave_out(fact, REFUSAL)
        if (line := self._line_of(fact)) is not None:
            self.outbox.add(draft_of(line))
