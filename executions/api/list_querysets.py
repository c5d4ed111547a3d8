"""Querysets of the lists, built once: to resolve their annotations takes four times as long as to filter them. A call
returns a copy, because a queryset that is read keeps its rows."""

from functools import cache

from executions.models import NodeExecution, WorkflowExecution
from executions.querysets import NodeExecutionQuerySet, WorkflowExecutionQuerySet


def listed_runs(*, errors: bool) -> WorkflowExecutionQuerySet:
    return _runs(errors=errors).all()


def listed_nodes(*, errors: bool) -> NodeExecutionQuerySet:
    return _nodes(errors=errors).all()


@cache
def _runs(*, errors: bool) -> WorkflowExecutionQuerySet:
    return WorkflowExecution.objects.without_payload(errors=errors)


@cache
def _nodes(*, errors: bool) -> NodeExecutionQuerySet:
    return NodeExecution.objects.for_lists(errors=errors)
