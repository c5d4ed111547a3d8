"""Facts about a run or node whose creation is not delivered yet: another process creates it, such as the parent of a
fork, or a process that passed on the id. They are sent again."""

import time
from collections.abc import Sequence

from .bounded_dict import remember
from .encoding import Fact
from .transport import Refusal

PATIENCE = 30.0  # seconds: the longest pause of the other process while the ledger cannot be reached
AGAIN = 0.5  # seconds between two tries
NOT_FOUND = "not_found"
OF_NODE = "node_execution:"  # the detail of a refusal starts so if the node of a line does not exist
CREATIONS = {"execution.create", "node.create"}
MAX_KNOWN = 10_000


class FactsAwaitingCreation:
    """`known` has the runs and nodes with a fact of this process that the ledger took: if such a row is not found, it
    was deleted. `since` has the time of the first refusal of the other rows. `waiting` has the facts to send again.
    With `is_patient` False, nothing waits."""

    def __init__(self) -> None:
        self.known: dict[str, None] = {}
        self.since: dict[str, float | None] = {}
        self.waiting: list[Fact] = []
        self.is_patient = True

    def take(self) -> list[Fact]:
        """Return and forget the facts to send again."""
        waiting, self.waiting = self.waiting, []
        return waiting

    def without_early(self, facts: Sequence[Fact], refusals: Sequence[Refusal], early: set[str]) -> list[Refusal]:
        """Return the final refusals. Add the runs whose facts have to wait to `early`."""
        runs = {facts[each.index].run for each in refusals if each.index < len(facts)}
        self._note_taken([fact for fact in facts if fact.run not in runs] if runs else facts)
        early |= {
            facts[each.index].run
            for each in refusals
            if each.index < len(facts) and self._is_early(facts[each.index], each)
        }
        return [each for each in refusals if each.index < len(facts) and facts[each.index].run not in early]

    def _note_taken(self, facts: Sequence[Fact]) -> None:
        for row in ({fact.run for fact in facts} | {fact.node for fact in facts}) - self.known.keys():
            remember(self.known, row, most=MAX_KNOWN)

    def _is_early(self, fact: Fact, refusal: Refusal) -> bool:
        of_line = fact.kind == "log" and refusal.detail.startswith(OF_NODE)
        row = self._first_unknown(fact)
        if not self.is_patient or not row or not (of_line or refusal.code == NOT_FOUND):
            return False
        now = time.monotonic()
        if self.since.get(row) is None:
            remember(self.since, row, now, most=MAX_KNOWN)
        return now < (self.since[row] or now) + PATIENCE

    def _first_unknown(self, fact: Fact) -> str:
        """Return the run, or else the node, that is not in `known`; "" if both are."""
        rows = [fact.run, "" if fact.kind in CREATIONS else fact.node]
        return next((row for row in rows if row and row not in self.known), "")


def without_runs_of(facts: list[Fact], others: list[Fact]) -> list[Fact]:
    runs = {fact.run for fact in others}
    return [fact for fact in facts if fact.run not in runs] if runs else facts
