"""The workflows whose runs a user may see."""

from django.db.models import QuerySet

from executions.admin.types import User
from workflows.models import Workflow
from workflows.querysets import can_view_all


def visible_workflows(user: User) -> QuerySet[Workflow]:
    """Return the workflows visible to the user; all of them for a user who may view every run."""
    seen = Workflow.objects.all()
    return seen if can_view_all(user, "executions.view_workflowexecution") else seen.visible_to(user)
