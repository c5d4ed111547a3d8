"""Earlier attempts of a row, without what they put out."""

from typing import Any

from executions.admin import formatting
from executions.admin.types import Attempt
from executions.models import NodeExecutionAttempt

SHOWN = 100
DRAWN = 2_000


def newest_attempts(attempts: Any, traceback: int = formatting.TRACEBACK) -> list[Attempt]:
    """The last of `attempts`, the oldest of them first, with so many letters of each traceback."""
    columns = {"error": formatting.first_characters("error_message", formatting.SHORT)}
    names = ["number", "status", "started_at", "ended_at"]
    if attempts.model is NodeExecutionAttempt:
        columns["traceback"] = formatting.last_characters("error_traceback", traceback)
        names.append("node_execution")
    found = attempts.only(*names).annotate(**columns).order_by("-id")[:SHOWN]
    return [with_duration(attempt) for attempt in sorted(found, key=lambda attempt: attempt.number)]


def attempt_times(attempts: Any) -> list[Attempt]:
    """Return the latest attempts with times and outcome only, in their order."""
    found = attempts.only("number", "status", "started_at", "ended_at", "node_execution").order_by("-id")[:DRAWN]
    return sorted(found, key=lambda attempt: attempt.number)


def with_duration(row: Any) -> Any:
    """The same row, for a template that cannot call texts.duration()."""
    row.shown_duration = formatting.duration_text(row)
    return row
