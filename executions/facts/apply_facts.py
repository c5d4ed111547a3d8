"""Apply the facts of a run to its plan, in their order."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from executions.exceptions import InvalidTransition
from executions.states import ExecutionStatus

from . import fact_kinds as kinds
from .attempt_leases import token_of_report
from .fact_kinds import Reported
from .facts_by_kind import RETRIES
from .log_line_facts import add_line
from .refusals import NO_RUN, WHICH_ATTEMPT, BadFact
from .retry_transitions import retry_node, retry_run
from .rows import RunRow
from .run_plan import Plan
from .start_transitions import extend_lease, start_node, start_run
from .status_observations import observe_node, observe_run, settle

# Each function returns whether the fact is new.
APPLY: Mapping[type, Callable[[Plan, Any, Reported], bool]] = {
    kinds.RunCreate: Plan.create_run,
    kinds.RunStart: start_run,
    kinds.RunHeartbeat: extend_lease,
    kinds.RunComplete: Plan.end_run,
    kinds.RunFail: Plan.end_run,
    kinds.RunCancel: Plan.end_run,
    kinds.RunRetry: retry_run,
    kinds.NodeCreate: Plan.create_node,
    kinds.NodeStart: start_node,
    kinds.NodeHeartbeat: extend_lease,
    kinds.NodeComplete: Plan.end_node,
    kinds.NodeFail: Plan.end_node,
    kinds.NodeSkip: Plan.end_node,
    kinds.NodeCancel: Plan.end_node,
    kinds.NodeRetry: retry_node,
    kinds.Line: add_line,
    kinds.RunObserve: observe_run,
    kinds.NodeObserve: observe_node,
}


def in_order_of_slots(facts: Mapping[UUID, Sequence[Reported]], runs: Mapping[UUID, RunRow]) -> list[UUID]:
    """Return the runs so that a run that ends frees its slot before another run of the workflow starts: running ones
    first, those that the call leaves running last. The facts of several runs may be interleaved."""

    def rank(run: UUID) -> int:
        if (row := runs.get(run)) is not None and row.status == ExecutionStatus.RUNNING:
            return 0
        moves = [type(each.fact) for each in facts[run] if isinstance(each.fact, kinds.RunMove)]
        return 2 if moves and moves[-1] is kinds.RunStart else 1

    return sorted(facts, key=rank) if len(facts) > 1 else list(facts)


def apply_facts(plan: Plan, reported: Sequence[Reported]) -> tuple[int, Exception] | None:
    """Apply the facts of a run. Return the index and the error of the first refused fact, None if there is none."""
    among = {type(each.fact) for each in reported}
    if not among.isdisjoint(RETRIES) and (unnamed := _without_attempt(reported)) is not None:
        return unnamed.index, BadFact("invalid", WHICH_ATTEMPT)
    known, entries = plan.known, plan.known.entries
    known.turns.keep()
    try:
        for each in reported:
            _apply(plan, each)
        if not among.isdisjoint(kinds.OBSERVATIONS):
            settle(plan)
    except (BadFact, InvalidTransition) as error:
        known.turns.undo()
        known.entries = entries
        plan.forget_new()
        return each.index, error
    return None


def _without_attempt(reported: Sequence[Reported]) -> Reported | None:
    """Return the first transition without an attempt whose row, or its run, is retried in the same call and was not
    created in it: if the call was sent again, the transition would apply to the next attempt. A single retry is
    safe."""
    retried = {each.fact.id for each in reported if type(each.fact) in RETRIES}
    if not retried or sum(isinstance(each.fact, kinds.RunMove | kinds.NodeMove) for each in reported) == 1:
        return None
    created: set[UUID] = set()
    for each in reported:
        if isinstance(each.fact, kinds.RunCreate | kinds.NodeCreate):
            created.add(each.fact.id)
        elif isinstance(each.fact, kinds.RunMove | kinds.NodeMove) and each.fact.id not in created:
            names_none = each.fact.attempt is None and token_of_report(each.fact) is None
            if names_none and not retried.isdisjoint({each.fact.id, each.fact.run}):
                return each
    return None


def _apply(plan: Plan, reported: Reported) -> None:
    fact = reported.fact
    if plan.run is None and type(fact) is not kinds.RunCreate:
        raise BadFact("not_found", NO_RUN)
    if APPLY[type(fact)](plan, fact, reported):
        plan.applied += 1
    else:
        plan.already_known += 1
