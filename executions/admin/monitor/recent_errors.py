"""Failures of the last 24 hours: groups of errors, each with its runs and places, and failed runs without a group."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count as CountOf
from django.db.models import Func, Max, QuerySet, UUIDField
from django.utils import timezone

from executions import limits
from executions.admin import duration_cells, formatting, run_failures
from executions.admin.counts import Count, count_runs, count_up_to
from executions.admin.error_groups.rows import ErrorGroupRow
from executions.admin.filters import presets
from executions.admin.filters.error_group_filters import FAILED, GROUP, NONE, runs_of_group_url
from executions.admin.run_failures import RunFailure
from executions.admin.types import Context, Runs, User
from executions.error_groups import group_queries
from executions.models import ErrorFingerprint, ErrorGroup, ErrorOccurrence, ErrorState, WorkflowExecution
from ledgerkit.db import keyset
from workflows.querysets import can_view_all

PERIOD = timedelta(days=1)
LAST_DAY = {FAILED: "1"}  # the same period, as a filter
FAILED_RUNS = {"status": "failed", "ended": "1"}
MAX_PLACES = 3  # listed for each group
UNRESOLVED = (ErrorState.OPEN, ErrorState.ACKNOWLEDGED)
NEWEST = ("-happened_at", "-id")


@dataclass(frozen=True, slots=True)
class Place:
    """The runs of a group that failed at one node of a workflow; `node` is empty for errors of runs. `newest` is the id
    of the run that failed last."""

    workflow_name: str
    node: str
    newest: UUID
    runs: Count


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """A group with the runs of the period, and all places of these, the last one first."""

    shown: ErrorGroupRow
    runs: Count
    places: list[Place]
    all_runs: str  # URL of the list

    @property
    def first_places(self) -> list[Place]:
        return self.places[:MAX_PLACES]

    @property
    def other_places(self) -> int:
        return max(0, len(self.places) - MAX_PLACES)


def error_groups_section(user: User) -> Context:
    """Return the open and acknowledged groups of what failed lately: those that are new or came back first, then by the
    last failure. Users who may not see groups have none."""
    if not user.has_perm("executions.view_errorgroup"):
        return {"rows": [], "is_more": False, "muted": None}
    since = timezone.now() - PERIOD
    lately = ErrorGroup.objects.visible_to(user).current().filter(last_seen__gte=since)
    found = _newest_groups(lately.filter(state__in=UNRESOLVED), since)
    shown = found[: limits.FRONT_PAGE_ROWS]
    return {
        "rows": _rows(user, shown, since),
        "is_more": len(found) > limits.FRONT_PAGE_ROWS,
        "muted": _count_muted(lately),
    }


def _count_muted(lately: QuerySet[ErrorGroup]) -> Count:
    address = presets.list_url("errorgroup", state=ErrorState.MUTED, period=1)
    return count_up_to(limits.COUNTED_GROUPS, lately.filter(state=ErrorState.MUTED), address)


def _newest_groups(lately: QuerySet[ErrorGroup], since: datetime) -> list[ErrorGroup]:
    """Return the first groups, and one more if there are. Each of the two orders has its index."""
    most = limits.FRONT_PAGE_ROWS + 1
    opened = list(lately.filter(opened_at__gte=since).order_by("-opened_at", "-id")[:most])
    others = lately.filter(opened_at__lt=since).order_by("-last_seen", "-id")
    return [*opened, *others[:most]][:most]


def _rows(user: User, groups: Collection[ErrorGroup], since: datetime) -> list[ErrorRow]:
    failed = _occurrences(user, groups, since)
    counts, places = _counts(failed), _places(failed)
    return [
        ErrorRow(
            ErrorGroupRow(group, "", 0),
            counts.get(group.pk) or Count(0, runs_of_group_url(group.pk, **LAST_DAY)),
            places[group.pk],
            runs_of_group_url(group.pk),
        )
        for group in groups
    ]


def _occurrences(user: User, groups: Collection[ErrorGroup], since: datetime) -> QuerySet[ErrorOccurrence]:
    """Return the failures of the period: of each fingerprint the newest, one more than is counted."""
    fingerprints = ErrorFingerprint.objects.filter(group__in=groups, last_seen__gte=since).order_by()
    lately = ErrorOccurrence.objects.filter(happened_at__gte=since)
    newest = keyset.first_of_each(fingerprints, lately, "fingerprint", NEWEST, limits.COUNTED_RUNS + 1)
    found = ErrorOccurrence.objects.filter(pk__in=newest).order_by()
    if can_view_all(user, "executions.view_workflowexecution"):
        return found
    return found.filter(workflow_execution__workflow__owner=user.pk)


def _counts(failed: QuerySet[ErrorOccurrence]) -> Mapping[UUID, Count]:
    """Return the number of runs of each group."""
    runs = CountOf("workflow_execution", distinct=True)
    counted = failed.values_list("fingerprint__group").annotate(runs=runs, failures=CountOf("pk"))
    return {pk: _count(runs, failures, runs_of_group_url(pk, **LAST_DAY)) for pk, runs, failures in counted}


class FoundPlace(NamedTuple):
    """A place as the database counts it."""

    group: UUID
    workflow: UUID
    workflow_name: str
    node: str
    runs: int
    failures: int
    newest: UUID
    last: datetime


def _places(failed: QuerySet[ErrorOccurrence]) -> Mapping[UUID, list[Place]]:
    """Return the places of each group, the one that failed last first."""
    runs = ArrayAgg("workflow_execution", order_by=NEWEST)
    newest = Func(runs, template="(%(expressions)s)[1]", output_field=UUIDField())
    workflow = "fingerprint__workflow"
    by_place = failed.values_list("fingerprint__group", workflow, f"{workflow}__name", "node_name")
    number = CountOf("workflow_execution", distinct=True)
    counted = by_place.annotate(runs=number, failures=CountOf("pk"), newest=newest, last=Max("happened_at"))
    places: defaultdict[UUID, list[Place]] = defaultdict(list)
    for row in counted.order_by("-last", workflow, "node_name"):
        found = FoundPlace(*row)
        places[found.group].append(_place(found))
    return places


def _place(found: FoundPlace) -> Place:
    address = runs_of_group_url(found.group, found.node, workflow=found.workflow, **LAST_DAY)
    return Place(found.workflow_name, found.node, found.newest, _count(found.runs, found.failures, address))


def _count(runs: int, failures: int, address: str) -> Count:
    return Count(min(runs, limits.COUNTED_RUNS), address, is_more=failures > limits.COUNTED_RUNS)


# --- failed runs without a group --------------------------------------------
class FailedRow(NamedTuple):
    """A failed run, with the beginning of its error."""

    pk: UUID
    workflow_name: str
    ended_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class FailedRun:
    run: FailedRow
    failure: RunFailure

    @property
    def ago(self) -> str:
        return duration_cells.format_ago(self.run.ended_at)


@dataclass(frozen=True, slots=True)
class FailedRuns:
    """The number of runs that failed lately; of those without a group the newest `rows`, and the number. `quiet` says
    why none failed. Users who may not see groups see none, but all runs."""

    count: Count
    rows: list[FailedRun]
    rest: Count
    sees_groups: bool
    quiet: str = ""


def failed_runs(user: User) -> FailedRuns:
    failed = WorkflowExecution.objects.visible_to(user).failed().filter(ended_at__gte=timezone.now() - PERIOD)
    count = count_runs(failed, presets.runs_url(**FAILED_RUNS))
    sees_groups = user.has_perm("executions.view_errorgroup")
    if not count.number or not sees_groups:
        return FailedRuns(count, _newest_failed(user, failed), count, sees_groups)
    others = _without_group(failed)
    rest = count_runs(others, presets.runs_url(**FAILED_RUNS, **{GROUP: NONE}))
    return FailedRuns(count, _newest_failed(user, others), rest, sees_groups)


def _without_group(failed: Runs) -> Runs:
    """Return those of the newest failed runs that have none: as many are looked up as are counted."""
    newest = failed.order_by("-ended_at", "-id").values("pk")[: limits.COUNTED_RUNS]
    return group_queries.without_group(WorkflowExecution.objects.filter(pk__in=newest))


def _newest_failed(user: User, failed: Runs) -> list[FailedRun]:
    rows = failed.annotate(error=formatting.first_characters("error_message", formatting.LINE))
    newest = rows.order_by("-ended_at", "-id").values_list(*FailedRow._fields)[: limits.FRONT_PAGE_ROWS]
    found = [FailedRow(*row) for row in newest]
    failures = run_failures.first_failures(user, found)
    return [FailedRun(run, failures[run.pk]) for run in found]
