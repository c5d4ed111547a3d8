"""The facts of one call by their kind, and which kinds have what in common."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from executions.exceptions import ACTS
from executions.partitions import HOUR

from . import fact_kinds as kinds
from .fact_kinds import Reported

WHOLE = (kinds.RunComplete, kinds.RunFail, kinds.RunCancel, kinds.RunRetry)  # these change every node of the run
RETRIES = (kinds.RunRetry, kinds.NodeRetry)
NODE_CREATIONS = (kinds.NodeCreate, kinds.NodeObserve)
HEARTBEATS = (kinds.RunHeartbeat, kinds.NodeHeartbeat)
UNRECORDED = {kinds.Line, *HEARTBEATS}  # kinds that the history has no entry of
RUN_MOVES = tuple(kind for kind in kinds.KINDS if issubclass(kind, kinds.RunMove))
NODE_MOVES = tuple(kind for kind in kinds.KINDS if issubclass(kind, kinds.NodeMove))


class FactsOfCall:
    """The facts that a call brought, or those of them that its caller may report."""

    def __init__(self, facts: Iterable[Reported]) -> None:
        self._by_kind: dict[type, list[Any]] = defaultdict(list)
        for reported in facts:
            self._by_kind[type(reported.fact)].append(reported.fact)

    def of_kinds(self, *classes: type) -> list[Any]:
        """Return the facts of these kinds."""
        return [fact for each in classes for fact in self._by_kind[each]]

    @property
    def has_moves(self) -> bool:
        """Return whether there are facts that the history would have an entry of."""
        return any(facts for kind, facts in self._by_kind.items() if kind not in UNRECORDED)

    def rows_and_acts_of_moves(self) -> tuple[set[UUID], set[UUID], set[str]]:
        """Return the runs and nodes of transitions, and the acts of which the history tells whether these were made. To
        a retry, every act tells of which attempt a fact is that names none."""
        nodes, acts = self.of_kinds(*NODE_MOVES), set(ACTS)
        moves = [*nodes, *self.of_kinds(*RUN_MOVES)]
        if not self.of_kinds(*RETRIES):
            acts = {fact.act for fact in moves}
        return {fact.run for fact in moves}, {fact.id for fact in nodes}, acts

    def named_nodes(self) -> set[UUID]:
        """Return the node executions that lines and heartbeats name."""
        named = {line.node_execution for line in self.of_kinds(kinds.Line)} - {None}
        return named | {heartbeat.id for heartbeat in self.of_kinds(kinds.NodeHeartbeat)}

    def one_line_of_each_hour(self) -> list[UUID]:
        """Return ids of lines, one for each hour: a partition is at least a day."""
        return list({(line.id.int >> 80) // HOUR: line.id for line in self.of_kinds(kinds.Line)}.values())
