"""Marks of running rows that need attention, each with its evidence as a sentence."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext_lazy

from executions import attention, limits
from executions.attention import Finding, Findings
from executions.models import ExecutionStatus, NodeExecution, WorkflowExecution
from executions.models.base import Execution
from ledgerkit.db.timeouts import StatementTimeout, statement_timeout

from . import formatting

LABELS = {"overdue": gettext_lazy("overdue"), "silent": gettext_lazy("silent"), "late": gettext_lazy("late")}
LEASE = gettext_lazy("Its lease of %(limit)s expired %(passed)s ago, and upkeep has not ended it yet.")
TIME_OUT = gettext_lazy("Its time-out of %(limit)s was exceeded %(passed)s ago, and upkeep has not ended it yet.")
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
    return Mark(found.question, str(_template(found)) % values)


def _template(found: Finding) -> object:
    if found.question == "overdue":
        return LEASE if found.lease_expired else TIME_OUT
    return SILENT if found.question == "silent" else LATE


def marks_of_runs(runs: Iterable[WorkflowExecution]) -> dict[UUID, list[Mark]]:
    """Return the marks of those of these runs that need attention; none if the query takes too long."""
    return _marks(runs, attention.findings_of_runs)


def marks_of_nodes(nodes: Iterable[NodeExecution]) -> dict[UUID, list[Mark]]:
    return _marks(nodes, attention.findings_of_nodes)


def _marks(rows: Iterable[Execution], find: Callable[[list[UUID]], Findings]) -> dict[UUID, list[Mark]]:
    running = [row.pk for row in rows if row.status == ExecutionStatus.RUNNING]
    if not running:
        return {}
    try:
        with statement_timeout(limits.ATTENTION_MS):
            return build_marks(find(running))
    except StatementTimeout:
        return {}


def build_marks(found: Findings) -> dict[UUID, list[Mark]]:
    return {row: [build_mark(each) for each in findings] for row, findings in found.items()}
