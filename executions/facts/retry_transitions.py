"""Retry a failed run, or one failed node, in memory, as executions/retry.py does with stored rows."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from executions import masking, refusal_reasons, retry
from executions.exceptions import InvalidTransition, SecretsUnknown
from executions.states import ACTIVE, ExecutionStatus

from . import fact_kinds as kinds
from .fact_kinds import Reported
from .rows import KEPT, EndedNode, EndedRun, NodeRow, RunRow
from .run_plan import Plan


def retry_run(plan: Plan, fact: kinds.RunRetry, reported: Reported) -> bool:
    """Retry the run, its failed nodes, and those that were skipped or cancelled because of them."""
    run = plan.the_run
    if not plan.is_new(run, None, fact):
        return False
    _check_secrets(plan, run)
    nodes = sorted(plan.nodes_of_run(), key=lambda node: node.id)
    failed = [node for node in nodes if node.status == ExecutionStatus.FAILED]
    _check_retries(run, failed)
    reason = plan.reason_of(reported)
    for node in [*failed, *retry.stopped_by_failure(nodes, lambda: _pairs(plan))]:
        _reset_node(plan, node, reason)
    _keep_attempt(plan, run)
    run.attempt += 1
    run.failed_nodes = 0
    _reset(plan, run)
    plan.move(run, None, ExecutionStatus.PENDING, "retry", reason)
    return True


def retry_node(plan: Plan, fact: kinds.NodeRetry, reported: Reported) -> bool:
    """Retry a failed node of a run that has not ended."""
    node = plan.node_of(fact)
    if not plan.is_new(node, node.id, fact):
        return False
    plan.check_run(node, "retry", ACTIVE)
    _check_retries(node, [node])
    _check_secrets(plan, node)
    _reset_node(plan, node, plan.reason_of(reported))
    return True


def _check_retries(row: RunRow | NodeRow, failed: Iterable[NodeRow]) -> None:
    for node in failed:
        if reason := refusal_reasons.node_out_of_retries(node.node_name, node.retry_count, node.retry_config):
            raise InvalidTransition("retry", row.status, reason, row.version)


def _check_secrets(plan: Plan, row: RunRow | NodeRow) -> None:
    if plan.secrets_error is not None:
        raise SecretsUnknown("retry", row.status, getattr(plan.secrets_error, "reason", ""), row.version)


def _pairs(plan: Plan) -> list[tuple[UUID, UUID]]:
    return plan.graph_of_run.stored.pairs if plan.graph_of_run else []


def _reset_node(plan: Plan, node: NodeRow, reason: str) -> None:
    has_failed = node.status == ExecutionStatus.FAILED
    if has_failed or node.started_at is not None:
        _keep_attempt(plan, node)
        node.attempt += 1
    node.retry_count += has_failed
    node.settled = False
    node.error_traceback = None
    _reset(plan, node)
    plan.move(node, node.id, ExecutionStatus.PENDING, "retry", reason)


def _reset(plan: Plan, row: RunRow | NodeRow) -> None:
    plan.default_attempts.pop(row.id, None)  # later facts of the call are about the new attempt
    row.started_at = row.ended_at = row.output_data = row.error_message = None
    row.error_code = ""


def _keep_attempt(plan: Plan, row: RunRow | NodeRow) -> None:
    """Keep the failed attempt, with its texts masked again by the current secrets of the run."""
    texts: dict[str, Any] = {name: value for name in retry.TEXTS if (value := getattr(row, name, KEPT)) is not KEPT}
    run: UUID = plan.id
    masking.mask([masking.FieldValues(run, texts)], "retry", new=True, known={run: plan.secrets})
    attempt: dict[str, Any] = {"number": row.attempt, "started_at": row.started_at, "ended_at": row.ended_at, **texts}
    attempt["error_code"] = row.error_code
    if isinstance(row, RunRow):
        plan.ended_runs.append(EndedRun(run=row.id, status=row.status, **attempt))
    else:
        plan.ended_nodes.append(EndedNode(node=row.id, status=row.status, **attempt))
