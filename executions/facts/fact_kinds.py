"""The kinds of facts that a call may bring, one class each. A field without a default is required."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec

from executions.leases import MAX_SECONDS, MAX_WORKER
from executions.log_preparation import MAX_SOURCE

Attempt = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Number = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Order = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Worker = Annotated[str, msgspec.Meta(max_length=MAX_WORKER)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=MAX_SECONDS)]
Document = dict[str, Any]


class Fact(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """`at` is the time by the engine's clock. TEXTS names the fields that are masked before they are stored."""

    TEXTS: ClassVar[tuple[str, ...]] = ()

    at: str | None = None

    @property
    def run(self) -> UUID:
        raise NotImplementedError

    @property
    def kind(self) -> str:
        return KIND_OF[type(self)]

    @property
    def act(self) -> str:
        """Return the verb, as in the history and in refusals of transitions."""
        return ACT_OF[type(self)]


class OfRun(Fact, kw_only=True):
    id: UUID

    @property
    def run(self) -> UUID:
        return self.id


class OfNode(Fact, kw_only=True):
    id: UUID
    workflow_execution: UUID

    @property
    def run(self) -> UUID:
        return self.workflow_execution


class WorkflowEnsure(Fact, kw_only=True, tag="workflow.ensure"):
    """`workflow` is a body of `POST workflows/ensure/`. It belongs to no run, and is stored before the runs."""

    workflow: Document


class RunCreate(OfRun, kw_only=True, tag="execution.create"):
    """`workflow` is the id of a workflow, or the name of one that the caller owns."""

    TEXTS: ClassVar = ("input_data", "context", "metadata")

    workflow: str
    trigger_type: Literal["schedule", "event", "manual"]
    input_data: Document = {}
    context: Document = {}
    metadata: Document = {}
    queue: bool = False

    @property
    def is_concurrent(self) -> bool:
        """Return whether the run may run beside other runs of its workflow."""
        return self.metadata.get("allow_concurrent") is True


class RunMove(OfRun, kw_only=True):
    """A transition of a run. `attempt` defaults to the current attempt."""

    attempt: Attempt | None = None


class RunStart(RunMove, kw_only=True, tag="execution.start"):
    """A start. Naming a worker, seconds or a token gives the attempt a lease (executions/leases.py). The caller may
    choose the token, as it chooses ids."""

    worker: Worker = ""
    lease_seconds: Seconds | None = None
    token: UUID | None = None


class RunComplete(RunMove, kw_only=True, tag="execution.complete"):
    """`token` is the lease token of the reporting attempt."""

    TEXTS: ClassVar = ("output_data",)

    output_data: Any = None
    token: UUID | None = None


class RunFail(RunMove, kw_only=True, tag="execution.fail"):
    TEXTS: ClassVar = ("error_message",)

    error_message: str | None = None
    token: UUID | None = None


class RunCancel(RunMove, kw_only=True, tag="execution.cancel"):
    TEXTS: ClassVar = ("reason",)

    reason: str | None = None


class RunRetry(RunMove, kw_only=True, tag="execution.retry"):
    TEXTS: ClassVar = ("reason",)

    reason: str | None = None


class RunHeartbeat(OfRun, kw_only=True, tag="execution.heartbeat"):
    """A heartbeat. It extends the lease of the attempt from the time of its arrival: `at` is not used."""

    token: UUID
    lease_seconds: Seconds | None = None


class NodeCreate(OfNode, kw_only=True, tag="node.create"):
    """`node` is an id or a name in the graph of the run. `run_token`, here and in other facts about nodes, is the token
    of the run's attempt, for nodes without a token of their own."""

    TEXTS: ClassVar[tuple[str, ...]] = ("input_data",)

    node: str
    execution_order: Order | None = None
    input_data: Document = {}
    run_token: UUID | None = None


class NodeMove(OfNode, kw_only=True):
    """A transition of a node execution."""

    attempt: Attempt | None = None


class NodeStart(NodeMove, kw_only=True, tag="node.start"):
    worker: Worker = ""
    lease_seconds: Seconds | None = None
    token: UUID | None = None
    run_token: UUID | None = None


class NodeComplete(NodeMove, kw_only=True, tag="node.complete"):
    TEXTS: ClassVar = ("output_data",)

    output_data: Any = None
    token: UUID | None = None
    run_token: UUID | None = None


class NodeFail(NodeMove, kw_only=True, tag="node.fail"):
    TEXTS: ClassVar = ("error_message", "error_traceback")

    error_message: str | None = None
    error_traceback: str | None = None
    token: UUID | None = None
    run_token: UUID | None = None


class NodeSkip(NodeMove, kw_only=True, tag="node.skip"):
    run_token: UUID | None = None


class NodeCancel(NodeMove, kw_only=True, tag="node.cancel"):
    TEXTS: ClassVar = ("reason",)

    reason: str | None = None


class NodeRetry(NodeMove, kw_only=True, tag="node.retry"):
    TEXTS: ClassVar = ("reason",)

    reason: str | None = None


class NodeHeartbeat(OfNode, kw_only=True, tag="node.heartbeat"):
    token: UUID
    lease_seconds: Seconds | None = None


class Line(OfNode, kw_only=True, tag="log", gc=False):  # no reference cycles, and a call has thousands
    """A log line. Its `at` is stored as its `timestamp`; `attempt` defaults to the current attempt. `token` is the
    token of the node execution's attempt, or of the run's attempt if the line names no node; `run_token` is always the
    token of the run."""

    TEXTS: ClassVar = ("message", "data", "source")

    node_execution: UUID | None = None
    source: Annotated[str, msgspec.Meta(max_length=MAX_SOURCE)] | None = None
    seq: Number | None = None
    attempt: Attempt | None = None
    token: UUID | None = None
    run_token: UUID | None = None
    level: Literal["debug", "info", "warning", "error"]
    message: str
    data: Any = None


type State = Literal["running", "completed", "failed", "cancelled", "skipped"]


class RunObserve(OfRun, kw_only=True, tag="execution.observe"):
    """Observed state of a run, in any order (status_observations.py). The API takes no such fact."""

    TEXTS: ClassVar = ("error_message",)

    state: State | None = None
    error_message: str | None = None


class NodeObserve(NodeCreate, kw_only=True, tag="node.observe"):
    """Observed state of a node execution, which is created if it does not exist."""

    TEXTS: ClassVar = ("input_data", "error_message", "error_traceback")

    state: State | None = None
    error_message: str | None = None
    error_traceback: str | None = None


KINDS: tuple[type[Fact], ...] = (
    WorkflowEnsure,
    RunCreate, RunStart, RunHeartbeat, RunComplete, RunFail, RunCancel, RunRetry,
    NodeCreate, NodeStart, NodeHeartbeat, NodeComplete, NodeFail, NodeSkip, NodeCancel, NodeRetry,
    Line,
)  # fmt: skip
AnyFact = (
    WorkflowEnsure
    | RunCreate | RunStart | RunHeartbeat | RunComplete | RunFail | RunCancel | RunRetry
    | NodeCreate | NodeStart | NodeHeartbeat | NodeComplete | NodeFail | NodeSkip | NodeCancel | NodeRetry
    | Line
)  # fmt: skip

OBSERVATIONS: tuple[type[Fact], ...] = (RunObserve, NodeObserve)
KIND_OF = {
    kind: str(kind.__struct_config__.tag) for kind in (*KINDS, *OBSERVATIONS)
}  # by class, as a call has many facts
ACT_OF = {kind: name.rpartition(".")[2] for kind, name in KIND_OF.items()}


class Reported(msgspec.Struct, gc=False):
    """A fact with its index in the call, its parsed time, and its masked texts. `is_corrected`: the sender's clock is
    wrong, and the time is the server's estimate."""

    index: int
    fact: Any
    at: datetime | None
    texts: dict[str, Any]
    is_corrected: bool = False
