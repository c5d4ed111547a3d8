"""What the retry of a run takes along: the attempts that it replaces, its failed nodes, and those that were skipped or
cancelled because of them. All of it is written by the statement that moves the run."""

from typing import Any

from django.db.models import Case, F, Func, Q, When
from django.db.models.sql import Query

from workflows import graph

from . import graphs, reasons, vault
from .exceptions import InvalidTransition
from .execution import RESET
from .states import ExecutionStatus

RETRIED_OR_RESET = (ExecutionStatus.FAILED, ExecutionStatus.SKIPPED, ExecutionStatus.CANCELLED)
NODE_RESET: dict[str, Any] = RESET | {"error_traceback": None, "settled": False}
# Neither what went in nor the documents of the node: they may be megabytes.
READ = ("node", "attempt", "retry_count", "settled", "node_name", "node__retry_config")


def beside(run: Any, kept: Any, known: vault.Known | None, noted: Func) -> list[Query]:
    """`kept` is the attempt of the run itself; what is known of its secrets is read anew where it is None.

    Raises InvalidTransition where a failed node has no retry left, SecretsUnknown.
    """
    found = list(_found(run))
    failed = [node for node in found if node.status == ExecutionStatus.FAILED]
    _check(run, failed)
    nodes = [*failed, *_because_of(run, failed, found)]
    attempts = [node._kept() for node in nodes if node.status == ExecutionStatus.FAILED or node.started_at]
    vault.guard_rows([kept, *attempts], "retry", came=None if known is None else {run.pk: known})
    return [*_keeping([kept]), *_keeping(attempts), *_again(nodes, noted)]


def _found(run: Any) -> Any:
    """Its failed, skipped and cancelled nodes, and whichever the graph that it remembers has not. None where the run is
    not failed any more. Locks the run before the nodes, as every verb does."""
    relevant = Q(status__in=RETRIED_OR_RESET) | ~Q(node__in=graphs.ids_in(run))
    still = {"workflow_execution__status": ExecutionStatus.FAILED, "workflow_execution__attempt": run.attempt}
    nodes = run.node_executions.filter(relevant, **still).select_related("workflow_execution", "node").order_by("id")
    read = nodes.only("workflow_execution__status", *READ, *nodes.model.KEPT)
    return read.select_for_update(of=("workflow_execution", "self"), no_key=True)


def _check(run: Any, failed: list[Any]) -> None:
    if spent := next((node for node in failed if not node.can_retry), None):
        reason = reasons.node_out_of_retries(spent)
        raise InvalidTransition("retry", ExecutionStatus.FAILED, reason, run.version)


def _because_of(run: Any, failed: list[Any], found: list[Any]) -> list[Any]:
    """Those that the run's own end settled, or that edges lead to from a failed node."""
    others = [node for node in found if node.status in {ExecutionStatus.SKIPPED, ExecutionStatus.CANCELLED}]
    if all(node.settled for node in others):
        return others
    pairs = graphs.of_run(run, {node.node_id: node.node_name for node in found}).pairs
    after = graph.descendants([node.node_id for node in failed], pairs)
    return [node for node in others if node.settled or node.node_id in after]


def _keeping(attempts: list[Any]) -> list[Query]:
    return [type(attempts[0]).objects.inserting(attempts)] if attempts else []


def _again(nodes: list[Any], noted: Func) -> list[Query]:
    """Pending again: a failed one by a retry of its own, any other as if it had never begun."""
    if not nodes:
        return []
    failed, began = Q(status=ExecutionStatus.FAILED), Q(started_at__isnull=False)
    return [
        type(nodes[0])
        .objects.filter(pk__in=[node.pk for node in nodes])
        .updating(
            retry_count=F("retry_count") + Case(When(failed, then=1), default=0),
            attempt=F("attempt") + Case(When(failed | began, then=1), default=0),
            **NODE_RESET | {"status": ExecutionStatus.PENDING, "updated_at": noted},
        )
    ]
