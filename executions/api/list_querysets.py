"""Querysets of the lists, built once: to resolve their annotations takes four times as long as to filter them."""

from functools import cache

from executions.models import NodeExecution, WorkflowExecution
from executions.querysets import NodeExecutionQuerySet, WorkflowExecutionQuerySet


@cache
def listed_runs(*, errors: bool) -> WorkflowExecutionQuerySet:
    return WorkflowExecution.objects.without_payload(errors=errors)


@cache
def listed_nodes(*, errors: bool) -> NodeExecutionQuerySet:
    return NodeExecution.objects.for_lists(errors=errors)
