"""Addresses of the page that runs a run again (runs/run_again.py)."""

from uuid import UUID

from django.urls import reverse

from executions.admin.types import User


def again_url(user: User, run: UUID, node: UUID | None = None) -> str:
    """Return the address, "" for users who may not. With a node the new run may start there."""
    if not user.has_perm("executions.change_workflowexecution"):
        return ""
    address = reverse("admin:executions_rerun", args=[run])
    return f"{address}?from_node={node}" if node else address
