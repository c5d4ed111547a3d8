"""Summary of a failed run: the first failure, and the nodes that did not run because of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from executions.models import NodeExecution
from executions.states import STOPPED, ExecutionStatus
from workflows import graph_algorithms


@dataclass
class Cascade:
    first: Any  # the node execution that failed first, with error and traceback, or None
    others: list[NodeExecution]  # the first nodes that failed after it
    later: int  # number of nodes that failed after it
    fallen: list[NodeExecution]  # skipped or cancelled because of it
    ways: set[UUID]  # nodes from which the failure spread

    @property
    def all_skipped(self) -> bool:
        return all(row.status == ExecutionStatus.SKIPPED for row in self.fallen)


def summarize_failure(
    failures: list[NodeExecution], nodes: list[NodeExecution], pairs: Iterable[tuple[UUID, UUID]], *, has_failed: bool
) -> Cascade:
    """Summarize a failure. `failures` are the first failed executions among `nodes`, in the order of their failure. If
    the run `has_failed`, nodes that its end settled were affected too."""
    failed = [row.node_id for row in nodes if row.status == ExecutionStatus.FAILED]
    after = graph_algorithms.descendants(failed, pairs)
    left_out = [row for row in nodes if row.status in STOPPED]
    fallen = [row for row in left_out if (row.settled and has_failed) or row.node_id in after]
    first, others = next(iter(failures), None), failures[1:]
    ways = {*failed, *(row.node_id for row in fallen if row.node_id in after)}
    return Cascade(first, others, max(len(failed) - 1, len(others)), fallen, ways)
