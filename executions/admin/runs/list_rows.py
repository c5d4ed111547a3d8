"""Rows of the list of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from executions import run_notes
from executions.admin import attention_marks, duration_cells, run_failures
from executions.admin.attention_marks import Mark
from executions.admin.duration_cells import DurationCell
from executions.admin.run_failures import RunFailure
from executions.admin.types import User
from executions.models import ExecutionStatus, TriggerType, WorkflowExecution

NO_FAILURE = RunFailure(None, "")


@dataclass(frozen=True, slots=True)
class RunListRow:
    """A run ready to render. `ago` is the time since its start, or since its creation if it has not started."""

    run: WorkflowExecution
    workflow_page: str
    trigger: str
    ago: str
    duration: DurationCell
    failure: RunFailure
    tags: list[str]
    marks: list[Mark]
    notes: int


def present_runs(user: User, runs: Sequence[Any]) -> list[RunListRow]:
    """Return a row for each of `runs`, which have the annotations `error` and `tag_list`, with three queries, and
    one more if some are running or queued."""
    failed = [run for run in runs if run.status == ExecutionStatus.FAILED or run.failed_nodes]
    found = run_failures.first_failures(user, failed)
    durations = duration_cells.duration_cells(runs)
    marks = attention_marks.marks_of_runs(runs)
    notes = run_notes.count_notes([run.pk for run in runs])
    # Once for all rows: a page has few workflows and triggers.
    pages = {pk: reverse("admin:workflows_workflow_page", args=[pk]) for pk in {run.workflow_id for run in runs}}
    triggers = {value: str(label) for value, label in TriggerType.choices}
    return [
        RunListRow(
            run,
            pages[run.workflow_id],
            triggers[run.trigger_type],
            duration_cells.format_ago(run.started_at or run.created_at),
            durations[run.pk],
            found.get(run.pk, NO_FAILURE),
            tags_of(run),
            marks.get(run.pk, []),
            notes.get(run.pk, 0),
        )
        for run in runs
    ]


def tags_of(run: Any) -> list[str]:
    """Return the tags from the annotation `tag_list`, which may be any JSON."""
    return [tag for tag in run.tag_list if isinstance(tag, str)] if isinstance(run.tag_list, list) else []
