"""The facts that a call may bring, one class for each kind. A field without a default is required."""

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
    """`at` is the engine's own time. TEXTS are the fields that are masked before they are stored."""

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
        """Return the verb, as the history and the refusals of transitions have it."""
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
    """`workflow` is the body of the call of this name. It is of no run: it is done before the runs."""

    workflow: Document


class RunCreate(OfRun, kw_only=True, tag="execution.create"):
    """`workflow` is an id or, of a workflow of the caller's own, a name."""

    TEXTS: ClassVar = ("input_data", "context", "metadata")

    workflow: str
    trigger_type: Literal["schedule", "event", "manual"]
    input_data: Document = {}
    context: Document = {}
    metadata: Document = {}
    queue: bool = False

    @property
    def is_concurrent(self) -> bool:
        """Return whether it may run beside other runs of its workflow."""
        return self.metadata.get("allow_concurrent") is True


class RunMove(OfRun, kw_only=True):
    """A transition of a run. `attempt` is the one that it is about: the present one unless it is given."""

    attempt: Attempt | None = None


class RunStart(RunMove, kw_only=True, tag="execution.start"):
    """A start. Naming a worker, seconds or a token gives the attempt a lease (executions/leases.py). The caller may
    choose the token, as it chooses ids."""

    worker: Worker = ""
    lease_seconds: Seconds | None = None
    token: UUID | None = None


class RunComplete(RunMove, kw_only=True, tag="execution.complete"):
    """`token` is that of the attempt that reports."""

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
    """A heartbeat extends the lease of the attempt from its arrival: `at` is not used."""

    token: UUID
    lease_seconds: Seconds | None = None


class NodeCreate(OfNode, kw_only=True, tag="node.create"):
    """`node` is an id or a name in the graph of the run. `run_token`, here and in other facts about nodes, is that
    of the run's attempt: these nodes have none yet, or never get one."""

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


class Line(OfNode, kw_only=True, tag="log", gc=False):  # thousands of them, and none in a circle
    """A log line. Its `at` is stored as its `timestamp`; `attempt` is the current one unless it is given. `token` is
    that of its node execution's attempt, or of the run's if it names none; `run_token` is always that of the run."""

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
    """The same of a node, which is created if it is not there."""

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
}  # of classes, for the many facts of a call
ACT_OF = {kind: name.rpartition(".")[2] for kind, name in KIND_OF.items()}


class Reported(msgspec.Struct, gc=False):
    """A fact with its place in the call, its time as it was read, and its texts as they may be stored. `is_corrected`:
    the server has put its own estimate in the place of the time of a wrong clock."""

    index: int
    fact: Any
    at: datetime | None
    texts: dict[str, Any]
    is_corrected: bool = False
