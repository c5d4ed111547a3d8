"""Values in the header of a run's page: how far a running one is, and who cancelled a cancelled one."""

from dataclasses import dataclass

from executions import rollups
from executions.admin import formatting
from executions.models import HistoryEntry, WorkflowExecution
from executions.states import ExecutionStatus


@dataclass(frozen=True)
class Progress:
    """The time that a run has taken, and that its workflow usually takes, in seconds."""

    elapsed: float
    usual: float

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.elapsed / self.usual)) if self.usual else 100

    @property
    def usual_text(self) -> str:
        return formatting.format_duration(self.usual)

    @property
    def is_over(self) -> bool:
        return self.elapsed > self.usual


def progress(run: WorkflowExecution) -> Progress | None:
    """Return how far a running run is; None if it is not running, or its workflow has too few completed runs."""
    elapsed = formatting.elapsed_seconds(run)
    if run.status != ExecutionStatus.RUNNING or elapsed is None:
        return None
    found = rollups.usual_durations(rollups.usual_since(), rollups.USUAL_RUNS, [run.workflow_id])
    return Progress(elapsed, found[0].p50) if found else None


def cancellation(run: WorkflowExecution) -> HistoryEntry | None:
    """Return the history entry of the cancel of a cancelled run."""
    if run.status != ExecutionStatus.CANCELLED:
        return None
    entries = HistoryEntry.objects.filter(
        workflow_execution=run.pk, node_execution=None, to_status=ExecutionStatus.CANCELLED
    )
    return entries.order_by("-happened_at", "-id").first()
