"""Failures of the last 24 hours, grouped by cause across workflows."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models.functions import Right
from django.utils import timezone
from django.utils.translation import gettext as _

from executions import failure_causes, limits
from executions.admin.types import User
from executions.models import NodeExecution, WorkflowExecution
from executions.reported_texts import LONGEST_LINE

from . import ansi, duration_cells, filter_presets, formatting

PERIOD = timedelta(days=1)
MAX_PLACES = 3  # places listed for each cause
TRACEBACK_END = LONGEST_LINE + 100  # characters of a traceback: its last line and blank lines


@dataclass(frozen=True, slots=True)
class RunFailure:
    """`node` is the node execution that failed first; `line` the first line of its error, else of the run's."""

    node: Any  # a NodeExecution with the annotation `error`, or None
    line: str


@dataclass(frozen=True, slots=True)
class FailedRun:
    run: WorkflowExecution
    failure: RunFailure
    cause: failure_causes.Cause

    @property
    def node(self) -> str | None:
        """Return the name of the node that failed first."""
        return self.failure.node.node_name if self.failure.node else None


@dataclass
class Group:
    """Failed runs, newest first; `key` selects them in the list of runs."""

    key: str
    runs: list[FailedRun] = field(default_factory=list)

    @property
    def newest(self) -> FailedRun:
        return self.runs[0]

    @property
    def line(self) -> str:
        """Return the message of the newest failure, with the class of its exception."""
        exception, line = self.newest.cause.exception, self.newest.failure.line
        if not exception or exception in line.partition(":")[0]:
            return line
        return f"{exception}: {line}" if line else exception

    @property
    def title(self) -> str:
        return self.line

    @property
    def ago(self) -> str:
        return duration_cells.format_ago(self.ended_at)

    @property
    def ended_at(self) -> datetime:
        return self.newest.run.ended_at or timezone.now()  # a failed run has always ended

    @property
    def address(self) -> str:
        """Return the URL of the list of these runs."""
        return filter_presets.runs_url(cause=self.key)


@dataclass
class Place(Group):
    """Runs that failed at the same node of the same workflow; `node` is None if no node failed."""

    @property
    def workflow_name(self) -> str:
        return self.newest.run.workflow_name

    @property
    def node(self) -> str | None:
        return self.newest.node

    @property
    def title(self) -> str:
        return ": ".join(filter(None, (self.workflow_name, self.node, self.line)))


@dataclass
class Cause(Group):
    """Runs with the same cause of failure, and their `places` by key, ordered by the newest failure."""

    places: dict[str, Place] = field(default_factory=dict)

    @property
    def first_places(self) -> list[Place]:
        return list(self.places.values())[:MAX_PLACES]

    @property
    def other_places(self) -> int:
        return max(0, len(self.places) - MAX_PLACES)

    def add(self, failed: FailedRun) -> None:
        self.runs.append(failed)
        key = _group_key(self.key, failed.run.workflow_id, failed.node)
        self.places.setdefault(key, Place(key)).runs.append(failed)


def first_line(text: str | None) -> str:
    """Return the first line that is not blank, without ANSI sequences."""
    return failure_causes.first_line(ansi.strip_ansi(text or ""))


def recent_failures(user: Any) -> tuple[list[FailedRun], bool]:
    """Return the newest failed runs of the period and whether there are more than GROUPED_FAILURES."""
    runs = WorkflowExecution.objects.visible_to(user).failed().filter(ended_at__gte=timezone.now() - PERIOD)
    columns = ("status", "workflow", "workflow_name", "created_at", "started_at", "ended_at")
    rows = runs.only(*columns).annotate(error=formatting.first_characters("error_message", formatting.LINE))
    newest = list(rows.order_by("-ended_at", "-id")[: limits.GROUPED_FAILURES + 1])
    found = first_failures(user, newest[: limits.GROUPED_FAILURES])
    ends = _ends_of_tracebacks(failure.node.pk for failure in found.values() if failure.node)
    failed = [_failed_run(run, found[run.pk], ends) for run in newest[: limits.GROUPED_FAILURES]]
    return failed, len(newest) > limits.GROUPED_FAILURES


def _failed_run(run: Any, failure: RunFailure, ends: dict[UUID, str | None]) -> FailedRun:
    end = ends.get(failure.node.pk) if failure.node else None
    return FailedRun(run, failure, failure_causes.cause(failure.line, ansi.strip_ansi(end or "")))


def first_failures(user: User, runs: Sequence[Any]) -> dict[UUID, RunFailure]:
    """Return the failure of each of `runs`, which have the annotation `error`, by the id of the run, with one query."""
    first = {row.workflow_execution_id: row for row in first_failed(user, [run.pk for run in runs])} if runs else {}
    return {run.pk: _run_failure(run, first.get(run.pk)) for run in runs}


def _run_failure(run: Any, node: Any) -> RunFailure:
    # The node's error first: it is the cause, and the run's error may be empty.
    errors = (node.error if node else None, run.error)
    return RunFailure(node, next(filter(None, map(first_line, errors)), ""))


def first_failed(user: User, runs: Iterable[UUID]) -> Any:
    failed = NodeExecution.objects.visible_to(user).failed().filter(workflow_execution__in=runs)
    rows = failed.only("workflow_execution", "status", "node_name")
    rows = rows.annotate(error=formatting.first_characters("error_message", formatting.LINE))
    # DISTINCT ON keeps the first row of each run in this order.
    in_order = rows.order_by("workflow_execution_id", "ended_at", "execution_order", "id")
    return in_order.distinct("workflow_execution_id")


def group_by_cause(runs: Iterable[FailedRun]) -> list[Cause]:
    """Return the causes of recent_failures(), ordered by the newest run of each."""
    found: dict[str, Cause] = {}
    for run in runs:
        key = _group_key(run.cause.exception, run.cause.message)
        found.setdefault(key, Cause(key)).add(run)
    return list(found.values())


def find_group(user: User, key: str) -> tuple[Group | None, bool]:
    """Return the cause or place with this key, if it still exists, and whether older failures were left out."""
    runs, are_more = recent_failures(user)
    groups = (group for cause in group_by_cause(runs) for group in (cause, *cause.places.values()))
    return next((group for group in groups if group.key == key), None), are_more


def group_title(title: str, *, are_more: bool) -> str:
    """Return a group's title with the period, and the number if limited, of the failures that were grouped."""
    if are_more:
        number = intcomma(limits.GROUPED_FAILURES)
        return _("%(cause)s (newest %(number)s failures of the last 24 hours)") % {"cause": title, "number": number}
    return _("%(cause)s (last 24 hours)") % {"cause": title}


def _ends_of_tracebacks(failures: Iterable[UUID]) -> dict[UUID, str | None]:
    """Return the last characters of each traceback. Only causes need them, so lists of runs do not load them."""
    rows = NodeExecution.objects.filter(pk__in=list(failures)).order_by()
    return dict(rows.values_list("pk", Right("error_traceback", TRACEBACK_END)))


def _group_key(*parts: object) -> str:
    """Return a short hash that is safe in a URL."""
    return hashlib.blake2s("\0".join(map(str, parts)).encode(), digest_size=8).hexdigest()
