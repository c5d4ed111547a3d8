"""The page of a run that was deleted and is in the archive."""

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from executions.admin.types import Context, User
from executions.models import ArchivedRun, Deletion
from ledgerkit.db.models import parse_uuid


def archived_run(user: User, id: str) -> ArchivedRun | None:
    """Return the record of a run that the user could see before it was deleted."""
    if (pk := parse_uuid(id)) is None:
        return None
    return ArchivedRun.objects.visible_to(user).select_related("file").filter(pk=pk).first()


def archived_run_context(request: HttpRequest, run: ArchivedRun) -> Context:
    deletions = Deletion.objects.visible_to(request.user).filter(workflow_execution_id=run.pk)
    return {"title": _("Archived"), "archived": run, "removal": deletions.order_by("-happened_at").first()}


def archived_run_url(site: AdminSite, user: User, text: str) -> str | None:
    """Return the URL of the page of the archived run with the id `text`."""
    if (run := archived_run(user, text)) is None:
        return None
    return reverse(f"{site.name}:executions_workflowexecution_change", args=[run.pk])
