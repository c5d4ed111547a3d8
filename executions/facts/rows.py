"""Rows of runs, node executions, log lines and the history, as facts change them in memory."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from executions import states
from executions.models import ExecutionStatus
from executions.states import Transitions
from ledgerkit.db.models import uuid7

KEPT: Any = msgspec.UNSET  # in place of a stored value that does not change


class Row(msgspec.Struct, kw_only=True):
    """The columns of a run or a node execution that transitions need. `moves` counts the changes since it was read. Its
    JSON has the names of the columns; the database ignores the other fields."""

    id: UUID
    status: str = ExecutionStatus.PENDING
    attempt: int = 1
    version: int = 1
    started_at: datetime | None = None
    ended_at: datetime | None = None
    output_data: Any = KEPT
    error_message: Any = KEPT
    error_code: str = ""
    is_new: bool = False
    moves: int = 0
    created_at: datetime | None = None
    input_data: Any = None


class RunRow(Row, kw_only=True, rename={"workflow": "workflow_id", "graph": "graph_id"}):
    TRANSITIONS: ClassVar[Transitions] = states.WORKFLOW_EXECUTION

    workflow: UUID
    workflow_name: str = ""  # when the run was created; the database sets it for a new run
    owner: Any = None
    graph: UUID | None = None
    allow_concurrent: bool = False
    is_queued: bool = False
    log_level: str | None = None
    failed_nodes: int = 0
    encrypted_secrets: str | None = None
    has_new_secrets: bool = False
    trigger_type: str = ""
    context: Any = None
    metadata: Any = None


class NodeRow(Row, kw_only=True, rename={"run": "workflow_execution_id", "node": "node_id"}):
    TRANSITIONS: ClassVar[Transitions] = states.NODE_EXECUTION

    run: UUID
    node: UUID
    node_name: str = ""
    execution_order: int = 0
    retry_count: int = 0
    retry_config: Any = None
    settled: bool = False
    error_traceback: Any = KEPT

    @property
    def node_id(self) -> UUID:
        return self.node


class Entry(msgspec.Struct, gc=False):
    """An entry of the history."""

    run: UUID
    node: UUID | None
    attempt: int
    from_status: str | None
    to_status: str
    act: str
    reason: str = ""
    id: UUID = msgspec.field(default_factory=uuid7)


class Ended(msgspec.Struct, kw_only=True):
    """An attempt that a retry has replaced."""

    number: int
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    output_data: Any = None
    error_message: Any = None
    error_code: str = ""
    id: UUID = msgspec.field(default_factory=uuid7)


class EndedRun(Ended, kw_only=True, rename={"run": "workflow_execution_id"}):
    run: UUID


class EndedNode(Ended, kw_only=True, rename={"node": "node_execution_id"}):
    node: UUID
    error_traceback: Any = None


class NewLine(
    msgspec.Struct, gc=False, omit_defaults=True,
    rename={"run": "workflow_execution_id", "node": "node_execution_id"},
):  # fmt: skip
    """A log line to store: masked, and cut to its limit. Defaults are omitted from the JSON: most lines have them."""

    id: UUID
    run: UUID
    level: str
    message: str
    timestamp: datetime
    attempt: int
    node: UUID | None = None
    data: Any = None
    is_cut: bool = False
    source: str | None = None
    seq: int | None = None
