"""Prediction of refused transitions, without calling them, so that pages offer only what can work. The verb
still decides, as the row may change in between."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from . import refusal_reasons
from .exceptions import InvalidTransition, SecretsUnknown
from .secrets import run_secrets
from .secrets.retention import run_rows
from .states import ACTIVE, TARGETS, ExecutionStatus

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from .models import NodeExecution, WorkflowExecution

STORING = ("fail", "retry")  # these store texts, in which the run's secrets have to be masked

type Refusals = dict[UUID, InvalidTransition]


def refusals(act: str, rows: "Iterable[WorkflowExecution | NodeExecution]") -> Refusals:
    """Return the exception that `act` would raise for each row, by the row's id. Rows for which it can work are left
    out."""
    rows = list(rows) if act in TARGETS else []  # others, such as keep, do not depend on the status
    found = {row.pk: InvalidTransition(act, row.status) for row in rows if not _allows(row, act)}
    rest = [row for row in rows if row.pk not in found]
    if act == "retry":
        found |= _without_retry(rest)
    if act in STORING:
        found |= _without_secrets(act, [row for row in rest if row.pk not in found])
    return found


def refusal(act: str, row: "WorkflowExecution | NodeExecution") -> InvalidTransition | None:
    """Return the exception that `act` would raise for the row, None if it can work."""
    return refusals(act, [row]).get(row.pk)


def is_run(row: "WorkflowExecution | NodeExecution") -> "TypeIs[WorkflowExecution]":
    return hasattr(row, "node_executions")


def _allows(row: "WorkflowExecution | NodeExecution", act: str) -> bool:
    return TARGETS[act] in row.TRANSITIONS[ExecutionStatus(row.status)]


def _without_retry(rows: "Sequence[WorkflowExecution | NodeExecution]") -> Refusals:
    runs = [row for row in rows if is_run(row)]
    reasons = _of_nodes([row for row in rows if not is_run(row)]) | (_spent_nodes(runs) if runs else {})
    return {pk: InvalidTransition("retry", ExecutionStatus.FAILED, reason) for pk, reason in reasons.items()}


def _of_nodes(nodes: "Sequence[NodeExecution]") -> dict[UUID, object]:
    return {node.pk: reason for node in nodes if (reason := _of_node(node))}


def _of_node(node: "NodeExecution") -> object:
    state = ExecutionStatus(node.workflow_execution.status)
    if state not in ACTIVE:
        return refusal_reasons.run_is(state, "retry")
    return None if node.can_retry else refusal_reasons.out_of_retries(node)


def _spent_nodes(runs: "Sequence[WorkflowExecution]") -> dict[UUID, object]:
    """Return, by run, the reason why a failed run cannot be retried: its first failed node that has no retry left."""
    failed = runs[0].node_executions.model.objects.failed().filter(workflow_execution__in=[run.pk for run in runs])
    columns = ("workflow_execution_id", "node_name", "retry_count", "node__retry_config")
    reasons: dict[UUID, object] = {}
    for run, name, used, config in failed.order_by("id").values_list(*columns).iterator():
        if reason := refusal_reasons.node_out_of_retries(name, used, config):
            reasons.setdefault(run, reason)
    return reasons


def _without_secrets(act: str, rows: "Sequence[WorkflowExecution | NodeExecution]") -> Refusals:
    """Return the refusals of rows whose run's secrets were deleted or cannot be decrypted."""
    runs = run_rows().filter(pk__in={row.run_id for row in rows}, encrypted_secrets__isnull=False)
    lost: dict[UUID, object] = {}
    for run, *columns in runs.values_list("pk", *run_secrets.COLUMNS):
        try:
            run_secrets.known_by(act, *columns)
        except SecretsUnknown as refusal:
            lost[run] = refusal.reason
    return {row.pk: SecretsUnknown(act, row.status, lost[row.run_id]) for row in rows if row.run_id in lost}
