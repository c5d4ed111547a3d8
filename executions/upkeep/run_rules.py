"""Rules for which runs are over: the settings and the config of each workflow as conditions on runs."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from executions.conf import executions_settings
from executions.models import ExecutionStatus, KeptRun, WorkflowExecution
from executions.querysets import WorkflowExecutionQuerySet
from workflows.models import Workflow
from workflows.retention_config import is_days

FAILED = (ExecutionStatus.FAILED,)
OTHERS = (ExecutionStatus.COMPLETED, ExecutionStatus.CANCELLED, ExecutionStatus.SKIPPED)
KEPT_RUNS = KeptRun.objects.filter(workflow_execution_id=OuterRef("pk"))


@dataclass(frozen=True)
class RunRule:
    """Runs with one of the statuses are removed so many days after their end: those of all workflows but `workflows`,
    or, with `only_these`, those of these."""

    statuses: Collection[str]
    days: int
    workflows: Collection[UUID]
    only_these: bool = False

    def runs(self, now: datetime) -> WorkflowExecutionQuerySet:
        """Return the runs that are over, without kept ones. Those that ended on one day of UTC are over together: an
        upkeep every half hour would else write as many files of the archive for one day."""
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        among = Q(workflow__in=self.workflows)
        ended = WorkflowExecution.objects.filter(
            among if self.only_these else ~among,
            status__in=self.statuses, ended_at__lt=today - timedelta(days=self.days),
        )  # fmt: skip
        return ended.filter(~Exists(KEPT_RUNS)).order_by()

    @property
    def reason(self) -> str:
        return f"older than {self.days} days"


def run_rules() -> list[RunRule]:
    return [
        *_rules("retention_days", executions_settings.RUN_DAYS, OTHERS),
        *_rules("failed_retention_days", executions_settings.FAILED_RUN_DAYS, FAILED),
    ]


def count_removable_runs(most: int) -> int:
    """Count the runs that the next upkeep removes, at most `most`."""
    now, count = timezone.now(), 0
    for rule in run_rules():
        count += rule.runs(now)[: most - count].count() if count < most else 0
    return count


def workflow_days(key: str) -> dict[UUID, int | None]:
    """Return the valid rules of workflows that have this key in their config."""
    rows = Workflow.objects.filter(config__has_key=key).values_list("pk", f"config__{key}")
    return {id: days for id, days in rows if is_days(days)}


def _rules(key: str, default: int | None, statuses: Collection[str]) -> Iterator[RunRule]:
    own = workflow_days(key)
    if default is not None:
        yield RunRule(statuses, default, own.keys())
    for days in sorted({days for days in own.values() if days is not None}):
        yield RunRule(statuses, days, [id for id, of_it in own.items() if of_it == days], only_these=True)
