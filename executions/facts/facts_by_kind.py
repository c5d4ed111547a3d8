"""The facts of one call by their kind, and groups of kinds."""

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
UNRECORDED = {kinds.Line, *HEARTBEATS}  # kinds without an entry in the history
RUN_MOVES = tuple(kind for kind in kinds.KINDS if issubclass(kind, kinds.RunMove))
NODE_MOVES = tuple(kind for kind in kinds.KINDS if issubclass(kind, kinds.NodeMove))


class FactsOfCall:
    """The facts of a call, or the part of them that the caller may report."""

    def __init__(self, facts: Iterable[Reported]) -> None:
        self._by_kind: dict[type, list[Any]] = defaultdict(list)
        for reported in facts:
            self._by_kind[type(reported.fact)].append(reported.fact)

    def of_kinds(self, *classes: type) -> list[Any]:
        """Return the facts of these kinds."""
        return [fact for each in classes for fact in self._by_kind[each]]

    @property
    def has_moves(self) -> bool:
        """Return whether any fact would have an entry in the history."""
        return any(facts for kind, facts in self._by_kind.items() if kind not in UNRECORDED)

    def rows_and_acts_of_moves(self) -> tuple[set[UUID], set[UUID], set[str]]:
        """Return the runs, nodes and acts by which the history shows whether transitions were made before. With a retry
        among them, return every act: together they give the attempt of a fact that names none."""
        nodes, acts = self.of_kinds(*NODE_MOVES), set(ACTS)
        moves = [*nodes, *self.of_kinds(*RUN_MOVES)]
        if not self.of_kinds(*RETRIES):
            acts = {fact.act for fact in moves}
        return {fact.run for fact in moves}, {fact.id for fact in nodes}, acts

    def named_nodes(self) -> set[UUID]:
        """Return the ids of node executions in lines and heartbeats."""
        named = {line.node_execution for line in self.of_kinds(kinds.Line)} - {None}
        return named | {heartbeat.id for heartbeat in self.of_kinds(kinds.NodeHeartbeat)}

    def one_line_of_each_hour(self) -> list[UUID]:
        """Return the id of one line for each hour, which is enough to find the partitions: each has at least a day."""
        return list({(line.id.int >> 80) // HOUR: line.id for line in self.of_kinds(kinds.Line)}.values())
