"""Comparison of a run with another, by default the last successful run of its workflow before it: the first difference,
and durations, also against what was usual before the run."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import TextField, Value
from django.db.models.functions import MD5, Cast, Coalesce
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from executions import limits
from executions.admin import formatting
from executions.admin.nodes import median_durations
from executions.admin.nodes.median_durations import WeekMedians
from executions.admin.section_queries import query_or_none
from executions.admin.types import JSON, Runs, User
from executions.models import ExecutionStatus, NodeExecution, WorkflowExecution
from ledgerkit.db.models import parse_uuid

from . import json_diff
from .json_diff import Difference, differences, parse

LAST_SUCCESS = "1"  # the value of `compare` that names no run
BACK = timedelta(days=90)  # how far back a successful run is searched
MAX_DURATIONS = 1_000  # rows of the table of durations
RUN_COLUMNS = ("status", "created_at", "started_at", "ended_at")
PAYLOADS = ("input_data", "output_data")
TEXTS = (*PAYLOADS, "error_message")


@dataclass
class ComparedValue:
    """One field of both runs. `found` is None if they differ but the differences cannot be listed."""

    label: Any
    found: list[Difference] | None
    more: bool = False


@dataclass(frozen=True)
class UsualDuration:
    """The median of a node in one week before the run, and how the node's duration in the run differs from it. Both are
    texts."""

    median: str
    change: str
    is_slower: bool


@dataclass
class Pair:
    """The executions of one node in both runs; one of them may be None. `longest` is the longest duration of all, in
    seconds."""

    name: str
    now: Any
    then: Any
    longest: float = 0.0
    usual: UsualDuration | None = None
    week_before: UsualDuration | None = None

    @property
    def differs(self) -> bool:
        if self.now is None or self.then is None or self.now.status != self.then.status:
            return True
        return any(getattr(self.now, f"{name}_digest") != getattr(self.then, f"{name}_digest") for name in TEXTS)

    @property
    def slower(self) -> float | None:
        """Return how many seconds longer it took now; None if one of them has not ended."""
        now, then = _seconds(self.now), _seconds(self.then)
        return None if now is None or then is None else now - then

    @property
    def change(self) -> str:
        return describe_change(self.slower)

    @property
    def bars(self) -> list[float]:
        """Return the lengths of both bars in percent: now, then."""
        return [round(100 * (_seconds(row) or 0) / (self.longest or 1), 2) for row in (self.now, self.then)]


@dataclass
class Comparison:
    run: Any
    then: Any
    pairs: list[Pair]
    is_cut: bool  # whether one of the runs has more nodes than were compared
    weeks: tuple[WeekMedians, WeekMedians] | None = None  # the week before the run, and that before it

    @property
    def first_pairs(self) -> list[Pair]:
        """Return the rows of the table."""
        return self.pairs[:MAX_DURATIONS]

    @property
    def has_usual(self) -> bool:
        """Return whether any of the nodes has a usual duration."""
        return bool(self.weeks and (self.weeks[0].nodes or self.weeks[1].nodes))

    @cached_property
    def differing_count(self) -> int:
        return sum(pair.differs for pair in self.pairs)

    @cached_property
    def differing(self) -> Pair | None:
        """Return the first node, in the order of the nodes, with a different result."""
        return next((pair for pair in self.pairs if pair.differs), None)

    @cached_property
    def of_runs(self) -> list[ComparedValue]:
        return _payloads(self.run, self.then)

    @cached_property
    def of_nodes(self) -> list[ComparedValue]:
        """Return the input and output of the first node that differs."""
        pair = self.differing
        return _payloads(pair.now, pair.then) if pair and pair.now and pair.then else []


def chosen_run(user: User, run: WorkflowExecution, named: str) -> WorkflowExecution | None:
    """Return the other run that the address names; None if it names none that the user may see."""
    pk = parse_uuid(named)
    seen = WorkflowExecution.objects.visible_to(user).exclude(pk=run.pk).only(*RUN_COLUMNS, "workflow", "workflow_name")
    return seen.filter(pk=pk).first() if pk else None


def describe_refusal(run: WorkflowExecution, named: str) -> str:
    """Return why the address names no run to compare with; "" if it names none, or asks for the last success."""
    if named in {"", LAST_SUCCESS}:
        return ""
    if parse_uuid(named) == run.pk:
        return _("The address names this run itself, so it is compared with the last success.")
    return _("The run of the address is not there, or you may not see it: this is the last success.")


def last_success(user: User, run: WorkflowExecution) -> WorkflowExecution | None:
    """Return the newest completed run of the workflow that was created before this one, or None."""
    return successful_runs(user, run).first()


def successful_runs(user: User, run: WorkflowExecution) -> Runs:
    """Return completed runs, newest first, by the index on the runs of a workflow."""
    rows = WorkflowExecution.objects.visible_to(user).filter(
        workflow=run.workflow_id,
        status=ExecutionStatus.COMPLETED,
        created_at__lt=run.created_at,
        created_at__gte=run.created_at - BACK,
    )
    return rows.only(*RUN_COLUMNS, "workflow").order_by("-created_at", "-id")


def compare_with(user: User, run: WorkflowExecution, then: WorkflowExecution) -> Comparison | None:
    """Compare with two queries, four for the documents, and four for what is usual. Return None if it takes too long;
    without what is usual if only that does."""
    found = query_or_none("comparison", lambda: _compare_runs(user, run, then), limits.COMPARISON_MS)
    if found is not None:
        found.weeks = query_or_none(
            "usual durations", lambda: _weeks(user, run, len(found.pairs)), limits.COMPARISON_MS
        )
        _set_usual(found)
    return found


def _weeks(user: User, run: WorkflowExecution, nodes: int) -> tuple[WeekMedians, WeekMedians]:
    return median_durations.medians_of_two_weeks(user, run.workflow_id, run.created_at, nodes)


def _set_usual(found: Comparison) -> None:
    usual, before = found.weeks or (None, None)
    for pair in found.first_pairs:
        pair.usual, pair.week_before = _usual_duration(pair.now, usual), _usual_duration(pair.now, before)


def _usual_duration(now: Any, week: WeekMedians | None) -> UsualDuration | None:
    """Return the median of this week; None for a node that is not in the run, or has none."""
    median = week.seconds(now.node_id) if week and now else None
    if median is None:
        return None
    seconds = _seconds(now)
    slower = seconds is not None and median_durations.is_slower(seconds, median)
    return UsualDuration(formatting.format_duration(median), describe_share(seconds, median), slower)


def _compare_runs(user: User, run: WorkflowExecution, then: WorkflowExecution) -> Comparison:
    now, now_is_cut = _nodes(user, run.pk)
    before, before_is_cut = _nodes(user, then.pk)
    pairs = [Pair(row.node_name, row, before.pop(node, None)) for node, row in now.items()]
    pairs += [Pair(row.node_name, None, row) for row in before.values()]
    longest = max((_seconds(row) or 0.0 for pair in pairs for row in (pair.now, pair.then)), default=0.0)
    for pair in pairs:
        pair.longest = longest
    found = Comparison(run, then, pairs, now_is_cut or before_is_cut)
    _ = found.of_runs, found.of_nodes  # read inside the statement timeout
    return found


def describe_change(slower: float | None) -> str:
    """Return "1.2 s longer", "40 ms shorter" or "as long"; "–" if one of them has not ended."""
    if slower is None:
        return "–"
    if not round(slower * 1000):  # less than the displayed precision
        return _("as long")
    words = _("%(duration)s longer") if slower > 0 else _("%(duration)s shorter")
    return words % {"duration": formatting.format_duration(abs(slower))}


def describe_share(now: float | None, usual: float) -> str:
    """Return "12 % longer", "8 % shorter" or "as long"; "" if it has not ended."""
    if now is None:
        return ""
    percent = round(100 * (now / usual - 1)) if usual > 0 else 0
    if not percent:
        return _("as long")
    return (_("%(percent)d %% longer") if percent > 0 else _("%(percent)d %% shorter")) % {"percent": abs(percent)}


def _nodes(user: User, run: UUID) -> tuple[dict[UUID, Any], bool]:
    """Return the last execution of each node of a run, in their order, with a digest of each text, and whether there
    are more."""
    rows = NodeExecution.objects.visible_to(user).filter(workflow_execution=run)
    rows = rows.only(*RUN_COLUMNS, "node_id", "node_name").annotate(**_digests(TEXTS))
    found = list(rows.order_by("execution_order", "id")[: limits.COMPARED_NODES + 1])
    return {row.node_id: row for row in found[: limits.COMPARED_NODES]}, len(found) > limits.COMPARED_NODES


def _digests(names: tuple[str, ...]) -> JSON:
    """Return a digest of each text. Equal documents have equal texts in the database, so none is loaded to compare
    it."""
    return {
        f"{name}_digest": MD5(Coalesce(Cast(name, TextField()), Value("null"), output_field=TextField()))
        for name in names
    }


def _payloads(now: object, then: object) -> list[ComparedValue]:
    error = {"error": formatting.first_characters("error_message", formatting.LIMIT + 1), **_digests(TEXTS)}
    now_shown, now_other = formatting.payloads(now, *PAYLOADS, **error)
    then_shown, then_other = formatting.payloads(then, *PAYLOADS, **error)
    same = {name: now_other[f"{name}_digest"] == then_other[f"{name}_digest"] for name in TEXTS}
    found = [_compare_values(a, b, same[name]) for name, a, b in zip(PAYLOADS, then_shown, now_shown, strict=True)]
    return found if same["error_message"] else [*found, _errors(then_other["error"], now_other["error"])]


def _errors(then: str | None, now: str | None) -> ComparedValue:
    found, _more = differences(*(json_diff.NOTHING if text is None else text for text in (then, now)))
    return ComparedValue(_("error message"), found or None)


def _compare_values(then: formatting.Payload, now: formatting.Payload, same: bool) -> ComparedValue:
    if same:
        return ComparedValue(now.label, [])
    if then.too_long or now.too_long:
        return ComparedValue(now.label, None)
    try:
        return ComparedValue(now.label, *differences(parse(then.text or "null"), parse(now.text or "null")))
    except RecursionError:  # nested too deeply
        return ComparedValue(now.label, None)


def _seconds(row: Any) -> float | None:
    return None if row is None else row.duration_seconds
