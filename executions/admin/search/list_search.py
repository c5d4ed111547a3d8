"""The search box of the list of runs: an id leads to its page; names, correlation ids and tags filter the list."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.admin import AdminSite
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import Model, Q
from django.db.models.fields.json import KT
from django.http import HttpRequest
from django.urls import reverse

from executions.admin.archived_run import archived_run_url
from executions.admin.types import User
from executions.models import Deletion, ExecutionLog, NodeExecution, WorkflowExecution
from ledgerkit.db.models import parse_uuid
from ledgerkit.db.names import forms

CORRELATION_ID = "metadata__correlation_id"


def find_url(site: AdminSite, request: HttpRequest, text: str) -> str | None:
    """Return the URL of the run, node execution or log line with the id `text`, of the only run with this correlation
    id, of the archived run with this id, or of the deletion of one. None for any other text and for rows that the user
    may not see."""
    if not text:
        return None
    rows: list[Model] = [*_by_id(site, request, pk)] if (pk := parse_uuid(text)) else []
    rows = rows or [*_by_correlation_id(request.user, text)]
    if not rows:
        return archived_run_url(site, request.user, text) or find_deletion(site, request, text)
    if len(rows) > 1:
        return None
    (row,) = rows
    return reverse(f"{site.name}:executions_{row._meta.model_name}_change", args=[row.pk])


def find_deletion(site: AdminSite, request: HttpRequest, text: str) -> str | None:
    """Return the URL of the deletion of the run that had the id `text`."""
    if (pk := parse_uuid(text)) is None or not site.get_model_admin(Deletion).has_view_permission(request):
        return None
    if not Deletion.objects.visible_to(request.user).filter(workflow_execution_id=pk).exists():
        return None
    return f"{reverse(f'{site.name}:executions_deletion_changelist')}?{urlencode({SEARCH_VAR: str(pk)})}"


def _by_id(site: AdminSite, request: HttpRequest, pk: UUID) -> Sequence[Model]:
    for model in (WorkflowExecution, NodeExecution, ExecutionLog):
        if site.get_model_admin(model).has_view_permission(request):
            found = list(model.objects.visible_to(request.user).only("pk").filter(pk=pk))
            if found:
                return found
    return []


def by_correlation_id_or_tag(text: str) -> Q:
    """Return the condition of runs with `text` as correlation id or tag, which an index on metadata serves."""
    held = [{key: value} for form in forms(text) for key, value in (("correlation_id", form), ("tags", [form]))]
    return reduce(or_, (Q(metadata__contains=each) for each in held))


def _by_correlation_id(user: User, text: str) -> list[WorkflowExecution]:
    """Return the runs with this correlation id; none if others have it as a tag, so that the list shows both."""
    found = (
        WorkflowExecution.objects.visible_to(user)
        .filter(by_correlation_id_or_tag(text))
        .annotate(id_named=KT(CORRELATION_ID))
    )
    rows = list(found.only("pk").order_by()[:2])
    return [row for row in rows if vars(row)["id_named"] in forms(text)] if len(rows) == 1 else rows
