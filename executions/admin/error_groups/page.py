"""Context of a group's page: days, newest failures, nodes, the values by which it was grouped, and its history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Max, OuterRef, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse

from executions import limits
from executions.admin import formatting, run_failures
from executions.admin.counts import Count, count_runs
from executions.admin.filters.error_group_filters import GROUP, runs_of_group_url
from executions.admin.types import Context, User
from executions.error_groups import group_queries
from executions.models import (
    ErrorDay,
    ErrorFingerprint,
    ErrorGroup,
    ErrorGroupChange,
    ErrorNode,
    ErrorOccurrence,
    ErrorState,
    NodeExecution,
    WorkflowExecution,
)

from . import rows
from .forms import ErrorGroupForm


@dataclass(frozen=True, slots=True)
class DayBar:
    """A bar of the chart, in percent of its height."""

    day: date
    seen: int
    height: float

    @property
    def top(self) -> float:
        return 100 - self.height


@dataclass(frozen=True, slots=True)
class FailureRow:
    """An occurrence. `run` is None if the user may not see it."""

    occurrence: ErrorOccurrence
    run: WorkflowExecution | None
    line: str


@dataclass(frozen=True, slots=True)
class GroupedBy:
    """A fingerprint, with its values as lines of text."""

    fingerprint: ErrorFingerprint
    exception: str
    frames: Sequence[str]
    message: str
    node: str


def page_context(request: HttpRequest, group: ErrorGroup, *, may_change: bool) -> Context:
    fingerprints = list(
        group.fingerprints.select_related("workflow").order_by("-last_seen", "-id")[: limits.ERROR_PLACES + 1]
    )
    failures = newest_failures(request.user, group)
    return {
        "group": group,
        "is_new": rows.is_new(group),
        "row": rows.present_groups([group])[0],
        "runs": count_runs_of_group(request.user, group),
        "nodes_address": nodes_of_group_url(request.user, group),
        "bars": day_bars(group),
        "failures": failures,
        "sample": sample(request.user, failures),
        "nodes": affected_nodes(group),
        "fingerprints": [grouped_by(each) for each in fingerprints[: limits.ERROR_PLACES]],
        "more_fingerprints": len(fingerprints) > limits.ERROR_PLACES,
        "overflow": any(each.values == {"message": "…"} for each in fingerprints),
        "changes": newest_changes(group),
        "form": ErrorGroupForm.from_group(group) if may_change else None,
    }


def count_runs_of_group(user: User, group: ErrorGroup) -> Count | None:
    """Count the existing runs that failed with an error of the group. None if the user has no list of runs."""
    if not user.has_perm("executions.view_workflowexecution"):
        return None
    runs = group_queries.runs_of(group, WorkflowExecution.objects.visible_to(user))
    return count_runs(runs, runs_of_group_url(group.pk))


def nodes_of_group_url(user: User, group: ErrorGroup) -> str:
    """Return the URL of the list of node executions that failed with it; "" if the user has no such list."""
    if not user.has_perm("executions.view_nodeexecution"):
        return ""
    return reverse("admin:executions_nodeexecution_changelist") + f"?{urlencode({GROUP: group.pk})}"


def day_bars(group: ErrorGroup) -> list[DayBar]:
    """Return the last days of UTC, of which each was counted when it happened."""
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=ago) for ago in reversed(range(limits.ERROR_DAYS))]
    counted = ErrorDay.objects.filter(fingerprint__group=group, day__gte=days[0]).values("day").order_by()
    found = {row["day"]: row["number"] for row in counted.annotate(number=Sum("seen"))}
    most = max(found.values(), default=0)
    return [DayBar(day, seen, _height(seen, most)) for day in days if (seen := found.get(day, 0)) is not None]


def _height(seen: int, most: int) -> float:
    return max(4.0, round(100 * seen / most, 1)) if seen else 0.0


def newest_failures(user: User, group: ErrorGroup) -> list[FailureRow]:
    """Return the newest occurrences. They are among those of the fingerprints that were seen last."""
    of_fingerprint = ErrorOccurrence.objects.filter(fingerprint=OuterRef("pk")).order_by("-happened_at", "-id")
    newest = ArraySubquery(of_fingerprint.values("pk")[: limits.ERROR_RUNS])
    last = group.fingerprints.order_by("-last_seen", "-id")[: limits.ERROR_RUNS]
    pks = [pk for found in last.annotate(newest=newest).values_list("newest", flat=True) for pk in found]
    occurrences = ErrorOccurrence.objects.filter(pk__in=pks).order_by("-happened_at", "-id")[: limits.ERROR_RUNS]
    return _with_texts(user, list(occurrences))


def _with_texts(user: User, occurrences: list[ErrorOccurrence]) -> list[FailureRow]:
    error = formatting.first_characters("error_message", formatting.LINE)
    runs = _with_ids(WorkflowExecution.objects.visible_to(user), [each.workflow_execution_id for each in occurrences])
    by_run = {run.pk: run for run in runs.only("workflow_name", "attempt", "status").annotate(error=error)}
    nodes = _with_ids(NodeExecution.objects.visible_to(user), [each.node_execution_id for each in occurrences])
    by_node = {node.pk: node for node in nodes.only("attempt", "status").annotate(error=error)}
    return [
        FailureRow(
            each,
            by_run.get(each.workflow_execution_id),
            _line(
                by_node.get(each.node_execution_id)
                if each.node_execution_id
                else by_run.get(each.workflow_execution_id)
            ),
        )
        for each in occurrences
    ]


def _with_ids[Q: QuerySet](found: Q, pks: Sequence[UUID | None]) -> Q:  # type: ignore[type-arg]  # of runs or of nodes
    return found.filter(pk__in=[pk for pk in pks if pk])


def _line(row: object) -> str:
    return run_failures.first_line(getattr(row, "error", None))


def sample(user: User, failures: list[FailureRow]) -> Context | None:
    """Return the error of the newest failure that is still there, with its traceback."""
    newest = next((each for each in failures if each.run is not None and each.line), None)
    if newest is None:
        return None
    texts = {
        "error": formatting.first_characters("error_message", formatting.SHORT),
        "traceback": formatting.last_characters("error_traceback", formatting.TRACEBACK),
    }
    pks = [pk for pk in (newest.occurrence.node_execution_id,) if pk]
    nodes = NodeExecution.objects.visible_to(user).filter(pk__in=pks).annotate(**texts)
    found: Context = nodes.values(*texts).first() or {"error": newest.line, "traceback": None}
    return found | {"failure": newest}


def affected_nodes(group: ErrorGroup) -> list[Context]:
    """Return the nodes that failed so, by workflow, the last one first."""
    named = ErrorNode.objects.filter(fingerprint__group=group).values(
        "fingerprint__workflow", "fingerprint__workflow__name", "node_name"
    )
    counted = named.annotate(number=Sum("seen"), last=Max("last_seen")).order_by("-last", "node_name")
    return [
        {
            "workflow": row["fingerprint__workflow"], "workflow_name": row["fingerprint__workflow__name"],
            "node": row["node_name"], "seen": row["number"], "last_seen": row["last"],
            "address": runs_of_group_url(group.pk, row["node_name"], workflow=row["fingerprint__workflow"]),
        }
        for row in counted[: limits.ERROR_PLACES]
    ]  # fmt: skip


def grouped_by(row: ErrorFingerprint) -> GroupedBy:
    text = {name: value for name, value in row.values.items() if isinstance(value, str)}
    frames = row.values.get("frames", [])
    return GroupedBy(row, text.get("exception", ""), frames, text.get("message", ""), text.get("node", ""))


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """An entry of the history; `state` is the new state, "" if it is the same."""

    entry: ErrorGroupChange
    state: str
    has_assignee: bool


def newest_changes(group: ErrorGroup) -> list[ChangeRow]:
    labels = dict(ErrorState.choices)
    return [
        ChangeRow(each, str(labels.get((each.fields.get("state") or ["", ""])[1], "")), "assignee" in each.fields)
        for each in group.changes.all()[: limits.HISTORY_ENTRIES]
    ]
