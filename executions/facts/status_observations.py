"""Merge status reports that arrive in any order, repeated, or late.

The state of a row follows from all its observations, whatever their order. It started at the earliest observation,
unless all of them are ends; it ended at the latest reported end. A reported end replaces an end that the ledger derived
from the end of the run (`settled`). Observations are about the first attempt, so rows that were retried since do not
change.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from executions.states import ACTIVE, ENDED, SETTLED, ExecutionStatus

from . import fact_kinds as kinds
from .fact_kinds import Reported
from .rows import NodeRow, Row
from .run_plan import Plan

S = ExecutionStatus
ACTS = {S.COMPLETED: "complete", S.FAILED: "fail", S.CANCELLED: "cancel", S.SKIPPED: "skip"}
RANKS = {S.SKIPPED: 0, S.CANCELLED: 1, S.COMPLETED: 2, S.FAILED: 3}  # the higher of two ends at one time counts
ERRORS = ("error_message", "error_traceback")


def observe_run(plan: Plan, fact: kinds.RunObserve, reported: Reported) -> bool:
    """Apply an observation of a run. Return whether it is new."""
    run = plan.the_run
    if run.attempt > 1:
        return False
    return _observe(plan, run, None, fact.state, reported)


def observe_node(plan: Plan, fact: kinds.NodeObserve, reported: Reported) -> bool:
    """Apply an observation of a node, which is added to the run if it does not exist. Return whether it is new."""
    is_new = plan.add_node(fact, reported)
    node = plan.node_of(fact)
    if node.attempt > 1:
        return is_new
    return _observe(plan, node, node.id, fact.state, reported) or is_new


def settle(plan: Plan) -> None:
    """If the run has ended, end the nodes without a reported end, as the end of a run does."""
    run = plan.run
    if run is None or run.attempt > 1:
        return
    if run.status in ENDED and run.ended_at is not None:
        act = ACTS[ExecutionStatus(run.status)]
        for node in plan.nodes_of_run():
            if node.attempt == 1 and (node.status in ACTIVE or node.settled):
                _settle(plan, node, act, run.ended_at)
        run.failed_nodes = sum(node.status == S.FAILED for node in plan.nodes_of_run())


def _observe(plan: Plan, row: Row, node: UUID | None, state: str | None, reported: Reported) -> bool:
    moment, moves = reported.at or plan.known.now, row.moves
    if row.created_at is None or moment < row.created_at:
        _set(row, created_at=moment)
    if state is not None:
        status = ExecutionStatus(state)
        _observe_start(row, moment, status)
        if row.status == S.PENDING and status != S.SKIPPED:
            plan.move(row, node, S.RUNNING, "start")
        if status in ENDED and _is_later(row, moment, status):
            _end(plan, row, node, status, moment, reported)
    return row.moves > moves


def _observe_start(row: Row, moment: datetime, status: ExecutionStatus) -> None:
    """Set the start. An end alone sets no start: the duration would be 0."""
    if row.started_at is not None:
        if moment < row.started_at:
            _set(row, started_at=moment)
    elif status not in ENDED:
        end = None if getattr(row, "settled", False) else row.ended_at
        _set(row, started_at=min(moment, end or moment))


def _is_later(row: Row, moment: datetime, status: ExecutionStatus) -> bool:
    """Return whether this end replaces the end of the row."""
    if row.status not in ENDED or row.ended_at is None or getattr(row, "settled", False):
        return True
    return (moment, RANKS[status]) > (row.ended_at, RANKS[ExecutionStatus(row.status)])


def _end(plan: Plan, row: Row, node: UUID | None, to: ExecutionStatus, moment: datetime, reported: Reported) -> None:
    row.ended_at = moment
    texts: dict[str, Any] = {name: reported.texts.get(name) for name in ERRORS} if to == S.FAILED else {}
    plan.check_secrets(ACTS[to], row, texts)
    for name in ERRORS:
        if hasattr(row, name) and S.FAILED in {to, row.status}:
            setattr(row, name, texts.get(name))
    if isinstance(row, NodeRow):
        row.settled = False
    if row.status == to:
        _set(row)
    else:
        plan.move(row, node, to, ACTS[to])


def _settle(plan: Plan, node: NodeRow, act: str, ended_at: datetime) -> None:
    pending, running = SETTLED[act]
    to = pending if node.started_at is None else (running or S.CANCELLED)
    node.ended_at, before = max(ended_at, node.started_at or ended_at), node.ended_at
    node.settled = True
    if node.status != to:
        plan.move(node, node.id, to, act)
    elif node.ended_at != before:
        _set(node)


def _set(row: Row, **values: object) -> None:
    """Change a row without a transition."""
    for name, value in values.items():
        setattr(row, name, value)
    row.version += 1
    row.moves += 1
