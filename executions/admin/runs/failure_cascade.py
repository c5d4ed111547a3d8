"""Summary of a failed run: the first failure, and what did not run because of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from executions.models import NodeExecution
from executions.states import ExecutionStatus
from workflows import graph

LEFT_OUT = (ExecutionStatus.SKIPPED, ExecutionStatus.CANCELLED)


@dataclass
class Cascade:
    first: Any  # the node execution that failed first, with error and traceback, or None
    others: list[NodeExecution]  # that failed after it, the first of them
    later: int  # how many failed after it
    fallen: list[NodeExecution]  # skipped or cancelled because of it
    ways: set[UUID]  # the nodes from which it went on to others

    @property
    def all_skipped(self) -> bool:
        return all(row.status == ExecutionStatus.SKIPPED for row in self.fallen)


def summarize_failure(
    failures: list[NodeExecution], nodes: list[NodeExecution], pairs: Iterable[tuple[UUID, UUID]], *, has_failed: bool
) -> Cascade:
    """`failures` are the first of the failed ones among `nodes`, in the order in which they failed. A run's own end
    settles nodes too: of one that `has_failed`, those fell with it."""
    failed = [row.node_id for row in nodes if row.status == ExecutionStatus.FAILED]
    after = graph.descendants(failed, pairs)
    left_out = [row for row in nodes if row.status in LEFT_OUT]
    fallen = [row for row in left_out if (row.settled and has_failed) or row.node_id in after]
    first, others = next(iter(failures), None), failures[1:]
    ways = {*failed, *(row.node_id for row in fallen if row.node_id in after)}
    return Cascade(first, others, max(len(failed) - 1, len(others)), fallen, ways)
