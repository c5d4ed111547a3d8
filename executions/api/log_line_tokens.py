"""Check of the tokens of log lines: a worker whose node or run was given to another one writes no lines."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from executions import leases
from executions.log_preparation import ADD_LINE
from executions.models import NodeExecution, WorkflowExecution
from executions.models.lease import NodeExecutionLease

type Pair = tuple[UUID | None, UUID]  # a node execution, or None for the run, and the token


def take_tokens(run: WorkflowExecution, attempts: Mapping[UUID, int], lines: Sequence[dict[str, Any]]) -> None:
    """Remove the tokens from the lines, which are of these attempts of node executions. Raises FencedExecution if one
    is not that of the present attempt, with a number of statements that does not grow with the lines."""
    pairs: set[Pair] = set()
    for line in lines:
        own, of_run = line.pop("token", None), line.pop("run_token", None)
        pairs |= {(line.get("node_execution_id"), own)} if own else set()
        pairs |= {(None, of_run)} if of_run else set()
    for node, token in pairs - _held(run, attempts, pairs) if pairs else ():
        leases.check(run if node is None else NodeExecution.objects.get(pk=node), ADD_LINE, token)


def _held(run: WorkflowExecution, attempts: Mapping[UUID, int], pairs: set[Pair]) -> set[Pair]:
    """Return those of the pairs that are of present attempts."""
    tokens = [token for _node, token in pairs]
    of_run = run.leases.filter(token__in=tokens, attempt=run.attempt, lapsed_at=None).values_list("token", flat=True)
    nodes = [node for node, _token in pairs if node is not None]
    of_nodes = NodeExecutionLease.objects.filter(node_execution__in=nodes, token__in=tokens, lapsed_at=None)
    rows = of_nodes.values_list("node_execution", "token", "attempt")
    return {(None, token) for token in of_run} | {
        (node, token) for node, token, attempt in rows if attempts.get(node) == attempt
    }
