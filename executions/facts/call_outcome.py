"""The outcome of the facts of a call."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from executions.models import ExecutionStatus

from . import fact_kinds as kinds
from .attempt_leases import LeaseRow
from .fact_kinds import Reported
from .refusals import Refusal
from .run_plan import Plan

OVER = {ExecutionStatus.COMPLETED, ExecutionStatus.FAILED}
OWN_ENDS = (kinds.RunComplete, kinds.RunFail)


@dataclass(frozen=True, slots=True)
class Notice:
    """News about a run that the engine did not report: somebody cancelled, retried or ended it, or cancelled a node
    execution of it, or the queued run may start."""

    run: UUID
    act: str
    status: str
    attempt: int
    node: UUID | None = None


@dataclass(slots=True)
class Outcome:
    """`refused` counts all facts of runs with a refused fact. `tokens` has the leases granted to starts, by the index
    of the start."""

    applied: int = 0
    known: int = 0
    refused: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    tokens: dict[int, LeaseRow] = field(default_factory=dict)


def notices_of(plan: Plan, reported: Sequence[Reported]) -> list[Notice]:
    """Return notices of what others have done to the run."""
    if (notice := _notice_of_run(plan, reported)) is not None:
        return [notice]
    run = plan.run
    if run is None or run.status != ExecutionStatus.RUNNING:
        return []
    cancelled = [
        node
        for node in plan.nodes.values()
        if node.status == ExecutionStatus.CANCELLED and not node.moves and not node.is_new
    ]
    ours = {each.fact.id for each in reported if each.fact.kind == "node.cancel"} if cancelled else set()
    return [
        Notice(run.id, "cancel_node", str(node.status), node.attempt, node.id)
        for node in cancelled
        if node.id not in ours
    ]


def _notice_of_run(plan: Plan, reported: Sequence[Reported]) -> Notice | None:
    """Return a notice if the run was cancelled, retried or ended, or if it waited in a queue and may start."""
    run = plan.run
    if run is None or run.is_new or run.moves:
        return None
    if run.is_queued and run.status == ExecutionStatus.PENDING and plan.known.turns.first_ahead(run) is None:
        return Notice(run.id, "startable", str(run.status), run.attempt)
    is_over = run.status in OVER and _repeats_start(reported)
    if (
        run.status != ExecutionStatus.CANCELLED and run.attempt == 1 and not is_over
    ):  # true for most calls, which bring thousands of lines
        return None
    acts = Counter(each.fact.kind for each in reported)
    if run.status == ExecutionStatus.CANCELLED and not acts["execution.cancel"]:
        return Notice(run.id, "cancel", str(run.status), run.attempt)
    moves = [each.fact for each in reported if isinstance(each.fact, kinds.RunMove)]
    is_earlier = any((move.attempt or run.attempt) < run.attempt for move in moves)
    waits = run.status == ExecutionStatus.PENDING and run.attempt > 1
    if (is_earlier or waits) and not acts["execution.retry"]:
        return Notice(run.id, "retry", str(run.status), run.attempt)
    return Notice(run.id, "end", str(run.status), run.attempt) if is_over else None


def _repeats_start(reported: Sequence[Reported]) -> bool:
    """Return whether the facts start the run and do not end it: the sender assumes that it is running."""
    kinds_of_facts = {type(each.fact) for each in reported}
    return kinds.RunStart in kinds_of_facts and not kinds_of_facts.intersection(OWN_ENDS)
