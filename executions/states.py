"""The statuses of executions and the allowed transitions between them. Every verb is checked against these tables.

A new status also needs a migration (choices, CHECK), an icon and a colour: docs/development.md has the checklist.
"""

from collections.abc import Mapping

from django.db import models
from django.utils.translation import gettext_lazy as _


class ExecutionStatus(models.TextChoices):
    PENDING = "pending", _("pending")
    RUNNING = "running", _("running")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    SKIPPED = "skipped", _("skipped")
    CANCELLED = "cancelled", _("cancelled")


class ErrorCode(models.TextChoices):
    """Why upkeep ended an execution. One that failed or was cancelled otherwise has no code."""

    LEASE_EXPIRED = "lease_expired", _("lease expired")
    TIMED_OUT = "timed_out", _("timed out")
    EXPIRED = "expired", _("expired")  # of a pending run, which is cancelled


class TriggerType(models.TextChoices):
    SCHEDULE = "schedule", _("schedule")
    EVENT = "event", _("event")
    MANUAL = "manual", _("manual")


class LogLevel(models.TextChoices):
    DEBUG = "debug", _("debug")
    INFO = "info", _("info")
    WARNING = "warning", _("warning")
    ERROR = "error", _("error")


type Transitions = Mapping[ExecutionStatus, frozenset[ExecutionStatus]]

S = ExecutionStatus

WORKFLOW_EXECUTION: Transitions = {
    S.PENDING: frozenset({S.RUNNING, S.CANCELLED}),
    S.RUNNING: frozenset({S.COMPLETED, S.FAILED, S.CANCELLED}),
    S.FAILED: frozenset({S.PENDING}),
    S.COMPLETED: frozenset(),
    S.SKIPPED: frozenset(),
    S.CANCELLED: frozenset(),
}
NODE_EXECUTION: Transitions = {
    **WORKFLOW_EXECUTION,
    S.PENDING: frozenset({S.RUNNING, S.SKIPPED, S.CANCELLED}),
}

# The status to which each verb moves a row.
TARGETS: Mapping[str, ExecutionStatus] = {
    "start": S.RUNNING, "complete": S.COMPLETED, "fail": S.FAILED, "skip": S.SKIPPED, "cancel": S.CANCELLED,
    "retry": S.PENDING,
}  # fmt: skip
# What the end of a run makes of its pending and of its running nodes; None refuses it.
SETTLED: Mapping[str, tuple[ExecutionStatus, ExecutionStatus | None]] = {
    "complete": (S.SKIPPED, None),
    "fail": (S.SKIPPED, S.CANCELLED),
    "cancel": (S.CANCELLED, S.CANCELLED),
}

ACTIVE = (S.PENDING, S.RUNNING)
ENDED = (S.COMPLETED, S.FAILED, S.SKIPPED, S.CANCELLED)
STOPPED = (S.SKIPPED, S.CANCELLED)  # of a node: it has no result


def sources(transitions: Transitions) -> Mapping[ExecutionStatus, list[str]]:
    """Return, for each status, those from which it can be reached."""
    return {to: [str(state) for state, targets in transitions.items() if to in targets] for to in ExecutionStatus}
