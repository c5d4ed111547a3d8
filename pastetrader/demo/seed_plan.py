"""Plan of a generated ledger: its definitions, its runs, and the columns that are written."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Self

from django.db import models

from executions import ingest
from executions.models import (
    ExecutionLog,
    ExecutionStatus,
    NodeExecution,
    NodeExecutionAttempt,
    WorkflowExecution,
    WorkflowExecutionAttempt,
)
from workflows.models import Edge, Node, Workflow

from . import seed_texts as texts

PERIOD = timedelta(days=60)
SECOND = 1_000_000  # times are whole microseconds since 1970 until they are written
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFINITION_FIELDS: dict[type[models.Model], tuple[str, ...]] = {
    Workflow: ("id", "owner", "name", "description", "config", "created_at", "updated_at"),
    Node: ("id", "workflow", "name", "node_type", "created_at", "updated_at"),
    Edge: ("id", "workflow", "source_node", "target_node", "created_at"),
}
FIELDS: dict[type[models.Model], tuple[str, ...]] = {
    WorkflowExecution: (
        "id", "workflow", "trigger_type", "status", "created_at", "updated_at", "started_at", "ended_at", "version",
        "attempt", "input_data", "output_data", "error_message", "context", "metadata",
    ),
    WorkflowExecutionAttempt: (
        "id", "workflow_execution", "number", "status", "started_at", "ended_at", "error_message",
    ),
    NodeExecution: (
        "id", "workflow_execution", "node", "status", "created_at", "updated_at", "started_at", "ended_at", "version",
        "attempt", "retry_count", "execution_order", "settled", "input_data", "output_data", "error_message",
        "error_traceback",
    ),
    NodeExecutionAttempt: (
        "id", "node_execution", "number", "status", "started_at", "ended_at", "error_message", "error_traceback",
    ),
    ExecutionLog: ingest.LINE,
}  # fmt: skip
type Batch = dict[type[models.Model], list[tuple[object, ...]]]


@dataclass(frozen=True)
class Plan:
    until: datetime
    runs: int = 100_000
    workflows: int = 50
    nodes: int = 1_000_000
    lines: int = 1_000_000
    seed: int = 1

    @property
    def since(self) -> datetime:
        return self.until - PERIOD

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "until": self.until.isoformat()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        return cls(**{**values, "until": datetime.fromisoformat(values["until"])})


@dataclass(frozen=True)
class Step:
    id: str
    name: str
    level: int


@dataclass
class Definition:
    id: str
    name: str
    schedule: str
    seconds: float  # median duration of a run
    steps: list[Step] = field(default_factory=list)
    edges: list[tuple[Step, Step]] = field(default_factory=list)
    free_at: int = 0  # end of its latest run: one run at a time


@dataclass
class Run:
    """A run while its rows are generated."""

    id: str
    of: Definition
    created: int
    start: int
    end: int
    status: ExecutionStatus
    steps: list[Step]
    stop: int = 0  # level at which it failed, was cancelled or is running
    retried: bool = False
    error: texts.Error | None = None
    started_nodes: list[tuple[str, int, int]] = field(default_factory=list)


def to_microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def utc(micro: int) -> datetime | None:
    """Convert microseconds to a datetime; 0 means "not yet" and gives None."""
    return EPOCH + timedelta(microseconds=micro) if micro else None


def uuid7_at(random: Random, micro: int) -> str:
    """Return a UUIDv7 of this time as 32 hexadecimal digits."""
    bits = random.getrandbits(74)
    return f"{micro // 1000 << 80 | 7 << 76 | bits >> 62 << 64 | 2 << 62 | bits & (1 << 62) - 1:032x}"
