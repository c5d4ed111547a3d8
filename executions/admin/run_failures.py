"""Failures of the last 24 hours, grouped by cause across workflows."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models.functions import Right
from django.utils import timezone
from django.utils.translation import gettext as _

from executions import failure_causes, limits
from executions.admin.types import User
from executions.models import NodeExecution, WorkflowExecution
from executions.reported_texts import LONGEST_LINE
from ledgerkit.db.any_of import AnyOf

from . import ansi, duration_cells, filter_presets, formatting

PERIOD = timedelta(days=1)
MAX_PLACES = 3  # places listed for each cause
TRACEBACK_END = LONGEST_LINE + 100  # characters of a traceback: its last line and blank lines


@dataclass(frozen=True, slots=True)
class RunFailure:
    """`node` is the node execution that failed first; `line` the first line of its error, else of the run's."""

    node: Any  # a NodeExecution with the annotation `error`, a FailedNodeRow, or None
    line: str


# Rows, not objects of the models: for a thousand of them these took a third of the monitor's time.
class FailedRow(NamedTuple):
    """A failed run, with the beginning of its error."""

    pk: UUID
    workflow_id: UUID
    workflow_name: str
    ended_at: datetime | None
    error: str | None


class FailedNodeRow(NamedTuple):
    """A failed node execution, with the beginning of its error and the end of its traceback."""

    workflow_execution_id: UUID
    node_name: str
    error: str | None
    trace: str | None


@dataclass(frozen=True, slots=True)
class FailedRun:
    run: FailedRow
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
    """Runs with the same cause of failure, and their `places` by workflow and node, ordered by the newest failure."""

    places: dict[tuple[UUID, str | None], Place] = field(default_factory=dict)

    @property
    def first_places(self) -> list[Place]:
        return list(self.places.values())[:MAX_PLACES]

    @property
    def other_places(self) -> int:
        return max(0, len(self.places) - MAX_PLACES)

    def add(self, failed: FailedRun) -> None:
        self.runs.append(failed)
        at = failed.run.workflow_id, failed.node
        if at not in self.places:
            self.places[at] = Place(_group_key(self.key, *at))
        self.places[at].runs.append(failed)


def first_line(text: str | None) -> str:
    """Return the first line that is not blank, without ANSI sequences."""
    return failure_causes.first_line(ansi.strip_ansi(text or ""))


def recent_failures(user: User) -> tuple[list[FailedRun], bool]:
    """Return the newest failed runs of the period and whether there are more than GROUPED_FAILURES."""
    runs = WorkflowExecution.objects.visible_to(user).failed().filter(ended_at__gte=timezone.now() - PERIOD)
    rows = runs.annotate(error=formatting.first_characters("error_message", formatting.LINE))
    newest = rows.order_by("-ended_at", "-id").values_list(*FailedRow._fields)[: limits.GROUPED_FAILURES + 1]
    found = [FailedRow(*row) for row in newest]
    shown = found[: limits.GROUPED_FAILURES]
    first = _first_failed_rows(user, shown)
    return [_failed_run(run, first.get(run.pk)) for run in shown], len(found) > limits.GROUPED_FAILURES


def _first_failed_rows(user: User, runs: Sequence[FailedRow]) -> dict[UUID, FailedNodeRow]:
    """Return the node execution of each run that failed first, by the id of the run."""
    if not runs:
        return {}
    nodes = first_failed(user, [run.pk for run in runs]).annotate(trace=Right("error_traceback", TRACEBACK_END))
    rows = [FailedNodeRow(*row) for row in nodes.values_list(*FailedNodeRow._fields)]
    return {row.workflow_execution_id: row for row in rows}


def _failed_run(run: FailedRow, node: FailedNodeRow | None) -> FailedRun:
    failure = _run_failure(run, node)
    end = ansi.strip_ansi(node.trace or "") if node else ""
    return FailedRun(run, failure, failure_causes.cause(failure.line, end))


def first_failures(user: User, runs: Sequence[Any]) -> dict[UUID, RunFailure]:
    """Return the failure of each of `runs`, which have the annotation `error`, by the id of the run, with one query."""
    first = {row.workflow_execution_id: row for row in first_failed(user, [run.pk for run in runs])} if runs else {}
    return {run.pk: _run_failure(run, first.get(run.pk)) for run in runs}


def _run_failure(run: Any, node: Any) -> RunFailure:
    # The node's error first: it is the cause, and the run's error may be empty.
    errors = (node.error if node else None, run.error)
    return RunFailure(node, next(filter(None, map(first_line, errors)), ""))


def first_failed(user: User, runs: Iterable[UUID]) -> Any:
    failed = NodeExecution.objects.visible_to(user).failed().filter(AnyOf("workflow_execution_id", runs))
    rows = failed.only("workflow_execution", "status", "node_name")
    rows = rows.annotate(error=formatting.first_characters("error_message", formatting.LINE))
    # DISTINCT ON keeps the first row of each run in this order.
    in_order = rows.order_by("workflow_execution_id", "ended_at", "execution_order", "id")
    return in_order.distinct("workflow_execution_id")


def group_by_cause(runs: Iterable[FailedRun]) -> list[Cause]:
    """Return the causes of recent_failures(), ordered by the newest run of each."""
    found: dict[failure_causes.Cause, Cause] = {}
    for run in runs:
        if run.cause not in found:
            found[run.cause] = Cause(_group_key(run.cause.exception, run.cause.message))
        found[run.cause].add(run)
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


def _group_key(*parts: object) -> str:
    """Return a short hash that is safe in a URL."""
    return hashlib.blake2s("\0".join(map(str, parts)).encode(), digest_size=8).hexdigest()
