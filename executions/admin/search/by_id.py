"""Rows whose id is, or begins with, a text: of the search for everything."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.contrib.admin import AdminSite
from django.db.models import Model, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from executions import limits
from executions.admin import statuses
from executions.models import BulkAction, ErrorGroup, ExecutionLog, NodeExecution, WorkflowExecution
from ledgerkit import time_zones
from ledgerkit.db.id_ranges import IdRange, id_range
from tokens.models import Token
from workflows.models import Workflow

GROUP_COLUMNS = ("title", "state", "last_seen")  # what a group is shown with


@dataclass(frozen=True, slots=True)
class Found:
    """A row, or a list of rows. `kind` says what it is; `is_search` that nobody knows whether the list has any."""

    kind: str
    title: str
    detail: str
    address: str
    is_search: bool = False


type Search = Callable[[AdminSite, HttpRequest, str], list[Found]]


def may_view(site: AdminSite, request: HttpRequest, model: type[Model]) -> bool:
    return site.is_registered(model) and site.get_model_admin(model).has_view_permission(request)


def _by_id[M: Model](
    model: type[M],
    select: Callable[[HttpRequest, IdRange], QuerySet[M]],
    present: Callable[[M], Found],
    site: AdminSite,
    request: HttpRequest,
    text: str,
) -> list[Found]:
    """Return the newest rows of a model whose id is, or begins with, this text."""
    if (ids := id_range(text)) is None or not may_view(site, request, model):
        return []
    return [present(row) for row in select(request, ids).order_by("-pk")[: limits.FOUND_ROWS]]


# --- which rows ----------------------------------------------------------------------------------------------------
def _runs(request: HttpRequest, ids: IdRange) -> QuerySet[WorkflowExecution]:
    rows = WorkflowExecution.objects.visible_to(request.user).filter(pk__range=ids)
    return rows.only("workflow_name", "status", "created_at")


def _nodes(request: HttpRequest, ids: IdRange) -> QuerySet[NodeExecution]:
    rows = NodeExecution.objects.visible_to(request.user).filter(pk__range=ids)
    return rows.only("node_name", "status", "created_at")


def _lines(request: HttpRequest, ids: IdRange) -> QuerySet[ExecutionLog]:
    return ExecutionLog.objects.visible_to(request.user).filter(pk__range=ids).only("level", "timestamp")


def _workflows(request: HttpRequest, ids: IdRange) -> QuerySet[Workflow]:
    """Return also those in the trash, whose page can be opened."""
    return Workflow.objects.visible_to(request.user).filter(pk__range=ids).only("name", "deleted_at")


def _groups(request: HttpRequest, ids: IdRange) -> QuerySet[ErrorGroup]:
    """Return for a group that was merged the one that it is part of."""
    now = ErrorGroup.objects.filter(pk__range=ids).order_by().values(now=Coalesce("merged_into", "pk"))
    return ErrorGroup.objects.visible_to(request.user).current().filter(pk__in=now).only(*GROUP_COLUMNS)


def _bulk_actions(request: HttpRequest, ids: IdRange) -> QuerySet[BulkAction]:
    rows = BulkAction.objects.visible_to(request.user).filter(pk__range=ids)
    return rows.only("verb", "username", "happened_at")


def _tokens(_request: HttpRequest, ids: IdRange) -> QuerySet[Token]:
    return Token.objects.filter(pk__range=ids).only("name", "created_at", "revoked_at")


# --- how they are shown --------------------------------------------------------------------------------------------
def present_execution(row: WorkflowExecution | NodeExecution) -> Found:
    name = row.workflow_name if isinstance(row, WorkflowExecution) else row.node_name
    return _found(row, name, statuses.label(row.status), time_zones.clock(row.created_at), str(row.pk))


def _present_line(row: ExecutionLog) -> Found:
    return _found(row, str(row.pk), row.get_level_display(), time_zones.clock(row.timestamp))


def _present_workflow(row: Workflow) -> Found:
    address = reverse("admin:workflows_workflow_page", args=[row.pk])
    return Found(_("Workflow"), row.name, _("in the trash") if row.deleted_at else "", address)


def present_group(row: ErrorGroup) -> Found:
    return _found(row, str(row), row.get_state_display(), time_zones.clock(row.last_seen))


def _present_bulk_action(row: BulkAction) -> Found:
    return _found(row, row.get_verb_display(), row.username, time_zones.clock(row.happened_at), str(row.pk))


def _present_token(row: Token) -> Found:
    return _found(row, row.name, _("revoked") if row.revoked_at else "", time_zones.clock(row.created_at))


def _found(row: Model, title: str, *details: str) -> Found:
    address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return Found(capfirst(str(row._meta.verbose_name)), title, " · ".join(filter(None, details)), address)


BY_ID: list[Search] = [
    partial(_by_id, WorkflowExecution, _runs, present_execution),
    partial(_by_id, NodeExecution, _nodes, present_execution),
    partial(_by_id, ExecutionLog, _lines, _present_line),
    partial(_by_id, Workflow, _workflows, _present_workflow),
    partial(_by_id, ErrorGroup, _groups, present_group),
    partial(_by_id, BulkAction, _bulk_actions, _present_bulk_action),
    partial(_by_id, Token, _tokens, _present_token),
]
