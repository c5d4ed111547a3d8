"""The response to a request about a run that was deleted and is in the archive: 410, with the name of the file."""

from collections.abc import Mapping
from typing import Any

from django.http import Http404
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from executions.models import ArchivedRun, WorkflowExecution
from tokens.permissions import is_bound_to


class RunArchived(Exception):
    def __init__(self, run: ArchivedRun) -> None:
        self.file = run.file.name
        super().__init__(
            f"This run was deleted; it is in the archive. To restore it: manage.py restore_archive {self.file}"
            f" --run {run.pk}"
        )


def explain(error: Exception, request: Request, kwargs: Mapping[str, Any]) -> Exception:
    """Return RunArchived in place of a 404 about a run that the caller could see before it was deleted."""
    run = kwargs.get("execution_id") or kwargs.get("pk")
    if run is None or not isinstance(error, Http404 | NotFound):
        return error
    archived = ArchivedRun.objects.visible_to(request.user).select_related("file").filter(pk=run).first()
    if archived is None or not is_bound_to(request, archived.workflow_id):
        return error
    return error if WorkflowExecution.objects.filter(pk=run).exists() else RunArchived(archived)
