"""Evidence that an engine executes a workflow: leases and starts of its newest runs. There is no other, because the
ledger never calls engines."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from executions.models import WorkflowExecution, WorkflowExecutionLease

NEWEST = 20  # runs that are looked at


@dataclass(frozen=True)
class EngineActivity:
    """The worker with a lease that has not expired, and when a run was started last."""

    worker: str
    heartbeat_at: datetime | None
    started_at: datetime | None


def find_engine_activity(workflow: UUID) -> EngineActivity:
    runs = WorkflowExecution.objects.filter(workflow=workflow).order_by("-created_at", "-id")
    starts = dict(runs.values_list("pk", "started_at")[:NEWEST])
    alive = Q(expires_at__gt=Now(), lapsed_at=None, workflow_execution__status="running")
    leases = WorkflowExecutionLease.objects.filter(alive, workflow_execution__in=list(starts))
    lease = leases.order_by("-heartbeat_at").first()
    started = max(filter(None, starts.values()), default=None)
    return EngineActivity(lease.worker if lease else "", lease.heartbeat_at if lease else None, started)
