"""Marks of rows that need attention, each with its evidence as a sentence."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext_lazy, ngettext_lazy

from executions import attention, limits
from executions.attention import Finding, Findings
from executions.models import ExecutionStatus, NodeExecution, WorkflowExecution
from ledgerkit.db.timeouts import StatementTimeout, statement_timeout

from . import formatting

LABELS = {
    "overdue": gettext_lazy("overdue"),
    "unstarted": gettext_lazy("not started"),
    "silent": gettext_lazy("silent"),
    "late": gettext_lazy("late"),
}
LEASE = gettext_lazy("Its lease of %(limit)s expired %(passed)s ago, and upkeep has not ended it yet.")
TIME_OUT = gettext_lazy("Its time-out of %(limit)s was exceeded %(passed)s ago, and upkeep has not ended it yet.")
UNSTARTED = gettext_lazy("It has been its turn for %(passed)s, and no engine has started it.")
BEHIND = ngettext_lazy("%(behind)d queued run waits for it.", "%(behind)d queued runs wait for it.", "behind")
MANY_BEHIND = gettext_lazy("%(behind)s queued runs or more wait for it.")
WHAT_TO_DO = gettext_lazy("Start its engine, or cancel it.")
SILENT = gettext_lazy("No heartbeat, no transition and no line for %(passed)s.")
LATE = gettext_lazy("It takes longer than usual: 95 of 100 runs of this workflow took up to %(limit)s.")


@dataclass(frozen=True, slots=True)
class Mark:
    question: str
    sentence: str

    @property
    def label(self) -> str:
        return str(LABELS[self.question])


def build_mark(found: Finding) -> Mark:
    passed = max(0.0, (timezone.now() - found.since).total_seconds())
    values = {
        "passed": formatting.format_duration(passed),
        "limit": formatting.format_duration(float(found.seconds or 0)),
    }
    sentences = [str(_template(found)) % values]
    if found.question == "unstarted":
        sentences += [*_behind(found.behind or 0), str(WHAT_TO_DO)]
    return Mark(found.question, " ".join(sentences))


def _behind(number: int) -> list[str]:
    """Return the sentence about the runs that wait for an unstarted one. They are counted up to a limit."""
    if number >= limits.RUNS_BEHIND:
        return [str(MANY_BEHIND) % {"behind": f"{number:,}"}]
    return [str(BEHIND % {"behind": number})] if number else []


def _template(found: Finding) -> object:
    if found.question == "overdue":
        return LEASE if found.lease_expired else TIME_OUT
    return {"unstarted": UNSTARTED, "silent": SILENT, "late": LATE}[found.question]


def marks_of_runs(runs: Iterable[WorkflowExecution]) -> dict[UUID, list[Mark]]:
    """Return the marks of those of these runs that need attention; none if the query takes too long."""
    return _marks([run.pk for run in runs if _may_need_attention(run)], attention.findings_of_runs)


def _may_need_attention(run: WorkflowExecution) -> bool:
    return run.status == ExecutionStatus.RUNNING or (run.status == ExecutionStatus.PENDING and run.is_queued)


def marks_of_nodes(nodes: Iterable[NodeExecution]) -> dict[UUID, list[Mark]]:
    running = [node.pk for node in nodes if node.status == ExecutionStatus.RUNNING]
    return _marks(running, attention.findings_of_nodes)


def _marks(rows: list[UUID], find: Callable[[list[UUID]], Findings]) -> dict[UUID, list[Mark]]:
    if not rows:
        return {}
    try:
        with statement_timeout(limits.ATTENTION_MS):
            return build_marks(find(rows))
    except StatementTimeout:
        return {}


def build_marks(found: Findings) -> dict[UUID, list[Mark]]:
    return {row: [build_mark(each) for each in findings] for row, findings in found.items()}
