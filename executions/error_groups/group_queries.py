"""Runs and node executions that failed with an error of a group."""

from datetime import datetime
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, Func, OuterRef, QuerySet, UUIDField
from django.db.models.functions import Coalesce

from executions import limits
from executions.models import ErrorGroup, ErrorOccurrence
from executions.models.error_group import ErrorGroupQuerySet
from executions.querysets import NodeExecutionQuerySet, WorkflowExecutionQuerySet


def find_group(groups: ErrorGroupQuerySet, pk: UUID) -> ErrorGroup | None:
    """Return the group of this id among those that the caller may see; if it was merged, the one that it is part of."""
    of_group = ErrorGroup.objects.filter(pk=pk).values(now=Coalesce("merged_into", "pk"))
    return groups.current().filter(pk__in=of_group).first()


def runs_of(
    group: ErrorGroup, runs: WorkflowExecutionQuerySet, node: str | None = None, since: datetime | None = None
) -> WorkflowExecutionQuerySet:
    """Filter to runs with an attempt that failed with an error of the group: at the node of this name ("" for the run
    itself), at `since` or later."""
    occurrences = _occurrences(node, since)
    if _is_small(group, since):
        return runs.filter(pk__in=_ids(group, occurrences, "workflow_execution"))
    return runs.filter(Exists(occurrences.filter(fingerprint__group=group, workflow_execution=OuterRef("pk"))))


def nodes_of(group: ErrorGroup, nodes: NodeExecutionQuerySet) -> NodeExecutionQuerySet:
    """Filter to node executions that failed with an error of the group, the first of each attempt and fingerprint."""
    occurrences = ErrorOccurrence.objects.exclude(node_execution=None)
    if group.seen <= limits.ERROR_GROUP_ROWS:
        return nodes.filter(pk__in=_ids(group, occurrences, "node_execution"))
    # By the run, as the index of the occurrences does not have the node executions.
    same = occurrences.filter(workflow_execution=OuterRef("workflow_execution"), node_execution=OuterRef("pk"))
    return nodes.filter(Exists(same.filter(fingerprint__group=group)))


def without_group(runs: WorkflowExecutionQuerySet) -> WorkflowExecutionQuerySet:
    """Filter to failed runs whose error is in no group: a scan has not seen it, or it was before the first one."""
    recorded = ErrorOccurrence.objects.filter(workflow_execution=OuterRef("pk"), attempt=OuterRef("attempt"))
    return runs.failed().exclude(Exists(recorded))


def _is_small(group: ErrorGroup, since: datetime | None) -> bool:
    """Return whether the failures, at this time or later, are few enough to look up their runs one by one."""
    most = limits.ERROR_GROUP_ROWS
    if since is None or group.seen <= most:
        return group.seen <= most
    recent = ErrorOccurrence.objects.filter(fingerprint__group=group, happened_at__gte=since)
    return recent.order_by()[: most + 1].count() <= most


def _occurrences(node: str | None, since: datetime | None) -> QuerySet[ErrorOccurrence]:
    found = ErrorOccurrence.objects.all() if node is None else ErrorOccurrence.objects.filter(node_name=node)
    return found if since is None else found.filter(happened_at__gte=since)


def _ids(group: ErrorGroup, occurrences: QuerySet[ErrorOccurrence], column: str) -> QuerySet[ErrorOccurrence, UUID]:
    """Return a subquery of the ids in this column. From an array the planner expects few: it looks up each, and does
    not search all rows in the order of the list until a page of them is full."""
    of_fingerprint = occurrences.filter(fingerprint=OuterRef("pk")).order_by().values(column)
    array = Func(ArraySubquery(of_fingerprint), function="unnest", output_field=UUIDField())
    return group.fingerprints.order_by().values_list(array)  # type: ignore[return-value]  # ids, as the array has them
