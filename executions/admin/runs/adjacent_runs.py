"""The runs of the same workflow before and after a run, in the order of creation."""

from django.db.models import Q

from executions.admin.types import User
from executions.models import WorkflowExecution


def previous_run(user: User, run: WorkflowExecution) -> WorkflowExecution | None:
    earlier = Q(created_at__lt=run.created_at) | Q(created_at=run.created_at, pk__lt=run.pk)
    return _first(user, run, Q(created_at__lte=run.created_at) & earlier, "-")


def next_run(user: User, run: WorkflowExecution) -> WorkflowExecution | None:
    later = Q(created_at__gt=run.created_at) | Q(created_at=run.created_at, pk__gt=run.pk)
    return _first(user, run, Q(created_at__gte=run.created_at) & later, "")


def _first(user: User, run: WorkflowExecution, where: Q, sign: str) -> WorkflowExecution | None:
    """Return the first one, by the index on the runs of a workflow."""
    seen = WorkflowExecution.objects.visible_to(user).filter(where, workflow=run.workflow_id)
    return seen.only("pk", "status").order_by(f"{sign}created_at", f"{sign}id").first()
