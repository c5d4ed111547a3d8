"""Start runs and nodes in memory, grant their leases, and extend leases by heartbeats."""

from executions import refusal_reasons
from executions.exceptions import ConcurrentExecution, InvalidTransition, QueuedExecution
from executions.states import ExecutionStatus

from . import fact_kinds as kinds
from .attempt_leases import is_leased
from .fact_kinds import Reported
from .refusals import NO_NODE, BadFact
from .rows import NodeRow, Row, RunRow
from .run_plan import Plan


def start_run(plan: Plan, fact: kinds.RunStart, reported: Reported) -> bool:
    run = plan.the_run
    if is_new := plan.is_new(run, None, fact):
        _take_turn(plan, run)
        run.started_at = reported.at or plan.known.now
        plan.move(run, None, ExecutionStatus.RUNNING, "start")
    _grant(plan, run, fact, reported, is_new=is_new)
    return is_new


def _take_turn(plan: Plan, run: RunRow) -> None:
    turns = plan.known.turns
    if run.is_queued and (ahead := turns.first_ahead(run)):
        raise QueuedExecution("start", run.status, ahead, run.version)
    if not run.allow_concurrent and not turns.take_slot(run):
        raise ConcurrentExecution("start", run.status, refusal_reasons.ANOTHER_RUNS, run.version)


def start_node(plan: Plan, fact: kinds.NodeStart, reported: Reported) -> bool:
    node = plan.node_of(fact)
    plan.check_run_token(fact)  # also for a repeated start: it tells a worker that its run was taken
    if is_new := plan.is_new(node, node.id, fact):
        plan.check_run(node, fact.act, (ExecutionStatus.RUNNING,))
        node.started_at = reported.at or plan.known.now
        plan.move(node, node.id, ExecutionStatus.RUNNING, "start")
    _grant(plan, node, fact, reported, is_new=is_new)
    return is_new


def _grant(
    plan: Plan, row: RunRow | NodeRow, start: kinds.RunStart | kinds.NodeStart, reported: Reported, *, is_new: bool
) -> None:
    """Grant a lease if the start asks for one. A repeated start finds the lease that it was granted."""
    if not is_leased(start):
        return
    leases = plan.known.leases
    lease = leases.grant(row, start) if is_new else leases.find(row, start, plan.attempt_of(row, start))
    if is_new:
        plan.leases.append(lease)
    plan.tokens[reported.index] = lease


def extend_lease(plan: Plan, fact: kinds.RunHeartbeat | kinds.NodeHeartbeat, _reported: Reported) -> bool:
    """Extend the lease from now on. Return True, as a repeated heartbeat extends it again."""
    row = _row_of(plan, fact)
    lease = plan.known.leases.check(fact.act, row, fact.token)
    if row.status != ExecutionStatus.RUNNING:
        raise InvalidTransition(fact.act, row.status, "", row.version)
    lease.seconds = fact.lease_seconds or lease.seconds
    if not lease.is_changed:
        lease.is_changed = True
        plan.leases.append(lease)
    return True


def _row_of(plan: Plan, fact: kinds.RunHeartbeat | kinds.NodeHeartbeat) -> Row:
    if isinstance(fact, kinds.RunHeartbeat):
        return plan.the_run
    if (node := plan.find_node(fact.id)) is None:
        raise BadFact("not_found", NO_NODE)
    return node
