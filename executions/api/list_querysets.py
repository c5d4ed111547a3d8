"""Querysets of the lists: the columns that a response needs. Those of a request without `?fields=` are built once: to
resolve their annotations and names takes four times as long as to filter them. A call returns a copy, because a
queryset that is read keeps its rows."""

from collections.abc import Collection
from functools import cache
from typing import cast
from uuid import UUID

from django.db.models import JSONField, Model, QuerySet, TextField

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.querysets import ExecutionLogQuerySet, NodeExecutionQuerySet, WorkflowExecutionQuerySet
from ledgerkit.conf import ledgerkit_settings
from ledgerkit.db import bounded_rows

type Fields = Collection[str] | None  # those that `?fields=` names
ERROR = {"error_message", "error_is_cut"}


def listed_runs(fields: Fields = None) -> WorkflowExecutionQuerySet:
    if fields is None:
        return _runs(ledgerkit_settings.MAX_PAGE_BYTES).all()
    return columns(WorkflowExecution.objects.without_payload(errors=shows_errors(fields)), fields)


def listed_nodes(fields: Fields = None) -> NodeExecutionQuerySet:
    if fields is None:
        return _nodes(ledgerkit_settings.MAX_PAGE_BYTES).all()
    return columns(NodeExecution.objects.for_lists(errors=shows_errors(fields)), fields)


def listed_lines(fields: Fields = None) -> ExecutionLogQuerySet:
    return columns(ExecutionLog.objects.all(), fields) if fields else _lines(ledgerkit_settings.MAX_PAGE_BYTES).all()


def runs_in(status: str) -> bounded_rows.Rows:
    return cast("bounded_rows.Rows", listed_runs().filter(status__in=[status]))


def all_runs(_nothing: str) -> bounded_rows.Rows:
    return cast("bounded_rows.Rows", listed_runs())


def nodes_of_run(id: UUID) -> bounded_rows.Rows:
    return cast("bounded_rows.Rows", listed_nodes().filter(workflow_execution=id))


def lines_of_run(id: UUID) -> bounded_rows.Rows:
    return cast("bounded_rows.Rows", listed_lines().filter(workflow_execution=id))


def columns[Q: QuerySet[Model]](rows: Q, fields: Fields = None) -> Q:
    """Return the columns of rows. Payloads that the response does not name are not read."""
    return cast("Q", bounded_rows.columns(rows if fields is None else without_others(rows, fields)))


def without_others[Q: QuerySet[Model]](rows: Q, fields: Collection[str]) -> Q:
    payloads = {field.name for field in rows.model._meta.concrete_fields if isinstance(field, JSONField | TextField)}
    return rows.defer(*(payloads - set(fields)))


def shows_errors(fields: Fields) -> bool:
    return fields is None or not ERROR.isdisjoint(fields)


# `page`: the columns of large values depend on the setting.
@cache
def _runs(page: int) -> WorkflowExecutionQuerySet:  # noqa: ARG001  # a key
    return columns(WorkflowExecution.objects.without_payload())


@cache
def _nodes(page: int) -> NodeExecutionQuerySet:  # noqa: ARG001  # a key
    return columns(NodeExecution.objects.for_lists())


@cache
def _lines(page: int) -> ExecutionLogQuerySet:  # noqa: ARG001  # a key
    return columns(ExecutionLog.objects.all())
