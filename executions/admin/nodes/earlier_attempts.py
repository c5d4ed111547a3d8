"""Earlier attempts of a row, without their output."""

from typing import Any

from executions import limits
from executions.admin import formatting
from executions.admin.types import Attempt
from executions.models import NodeExecutionAttempt


def newest_attempts(attempts: Any, traceback: int = formatting.TRACEBACK) -> list[Attempt]:
    """Return the last of `attempts`, oldest first, with `traceback` characters of each traceback."""
    columns = {"error": formatting.first_characters("error_message", formatting.SHORT)}
    names = ["number", "status", "started_at", "ended_at"]
    if attempts.model is NodeExecutionAttempt:
        columns["traceback"] = formatting.last_characters("error_traceback", traceback)
        names.append("node_execution")
    found = attempts.only(*names).annotate(**columns).order_by("-id")[: limits.ATTEMPTS]
    return sorted(found, key=lambda attempt: attempt.number)


def attempt_times(attempts: Any) -> list[Attempt]:
    """Return the last attempts with only times and status, in their order."""
    found = attempts.only("number", "status", "started_at", "ended_at", "node_execution").order_by("-id")[
        : limits.DRAWN_ATTEMPTS
    ]
    return sorted(found, key=lambda attempt: attempt.number)
