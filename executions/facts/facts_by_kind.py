"""The facts of one call by their kind, and which kinds have what in common."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from executions.partitions import HOUR

from . import fact_kinds as kinds
from .fact_kinds import Reported

WHOLE = (kinds.RunComplete, kinds.RunFail, kinds.RunCancel, kinds.RunRetry)  # these change every node of the run
RETRIES = (kinds.RunRetry, kinds.NodeRetry)
NODE_CREATIONS = (kinds.NodeCreate, kinds.NodeObserve)
HEARTBEATS = (kinds.RunHeartbeat, kinds.NodeHeartbeat)
UNRECORDED = {kinds.Line, *HEARTBEATS}  # kinds that the history has no entry of
NODE_MOVES = tuple(kind for kind in kinds.KINDS if issubclass(kind, kinds.NodeMove))


class FactsOfCall:
    """The facts that a call brought, or those of them that its caller may report."""

    def __init__(self, facts: Iterable[Reported]) -> None:
        self._by_kind: dict[type, list[Any]] = defaultdict(list)
        for reported in facts:
            self._by_kind[type(reported.fact)].append(reported.fact)

    def of(self, *classes: type) -> list[Any]:
        """Return the facts of these kinds."""
        return [fact for each in classes for fact in self._by_kind[each]]

    @property
    def has_moves(self) -> bool:
        """Return whether there are facts that the history would have an entry of."""
        return any(facts for kind, facts in self._by_kind.items() if kind not in UNRECORDED)

    def named_nodes(self) -> set[UUID]:
        """Return the node executions that lines and heartbeats name."""
        named = {line.node_execution for line in self.of(kinds.Line)} - {None}
        return named | {heartbeat.id for heartbeat in self.of(kinds.NodeHeartbeat)}

    def one_line_of_each_hour(self) -> list[UUID]:
        """Return ids of lines, one for each hour: a partition is at least a day."""
        return list({(line.id.int >> 80) // HOUR: line.id for line in self.of(kinds.Line)}.values())
