"""Data that was read for the facts of a call."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from .attempt_leases import Leases
from .row_reading import History
from .rows import NodeRow, RunRow
from .run_queues import Turns
from .workflow_definitions import GraphOfRuns, Nodes, WorkflowRow


@dataclass(slots=True)
class LoadedData:
    """Rows and definitions that were read for the facts of a call."""

    now: datetime
    runs: dict[UUID, RunRow]
    nodes: dict[UUID, NodeRow]
    read_nodes: dict[UUID, NodeRow]  # not locked
    workflows: dict[str, WorkflowRow]
    graphs: dict[UUID, GraphOfRuns]
    nodes_of_workflows: Nodes
    turns: Turns
    stored_lines: dict[UUID, UUID] | None  # None if it was not read
    taken_runs: set[UUID]  # ids of existing runs that the caller does not see
    taken_nodes: dict[UUID, UUID]  # node execution → its run, which may be another than in the fact
    leases: Leases
    read_history: Callable[[], History]
    read_graphs_of_today: Callable[[], dict[UUID, GraphOfRuns]]  # by workflow, for nodes newer than the run
    entries: int = 0  # entries of the history that the call makes
