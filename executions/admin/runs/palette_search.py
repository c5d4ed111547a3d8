"""One search for everything that has a name or an id: runs, nodes, lines, workflows, tags, errors.

The page works without scripts; the palette (ledgerkit/palette.js) asks for the same as JSON.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from executions import limits
from executions.admin import statuses
from executions.admin.filter_presets import PRESETS, runs_url
from executions.admin.filters.text_filters import SearchedTextFilter
from executions.admin.section_queries import query_or_none
from executions.admin.visible_workflows import visible_workflows
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from ledgerkit import time_zones
from ledgerkit.db import names
from ledgerkit.db.models import parse_uuid
from workflows.models import Node, Workflow

from . import list_search

MAX_QUERY_LENGTH = 200
RESULT_COLUMNS: dict[type[WorkflowExecution | NodeExecution], tuple[str, ...]] = {
    WorkflowExecution: ("workflow_name", "status", "created_at"),
    NodeExecution: ("node_name", "status", "created_at"),
}
ID_PART = re.compile("[0-9a-f]{8}-?(?:[0-9a-f]{1,4}-?){0,6}", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Found:
    """A row, or a list of rows. `kind` says what it is."""

    kind: str
    title: str
    detail: str
    address: str


def find_view(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Render what is found for `?q=`; with `format=json` as the palette reads it."""
    text = names.nfc(request.GET.get("q", "").replace("\0", "").strip()[:MAX_QUERY_LENGTH])
    found, is_complete = find(site, request, text) if text else (_starting_points(site, request), True)
    if request.GET.get("format") == "json":
        response = JsonResponse({"found": [asdict(each) for each in found], "is_complete": is_complete})
        response["Cache-Control"] = "no-store"
        return response
    title = _("Search: %(text)s") % {"text": text} if text else _("Search")
    shown = {"title": title, "q": text, "found": found, "is_complete": is_complete, "longest": MAX_QUERY_LENGTH}
    return TemplateResponse(request, "admin/executions/find.html", site.each_context(request) | shown)


def _starting_points(site: AdminSite, request: HttpRequest) -> list[Found]:
    """Return the lists that need no search: the presets of the runs, and last night."""
    if not _may_view(site, request, WorkflowExecution):
        return []
    runs = capfirst(str(WorkflowExecution._meta.verbose_name_plural))
    title = _("Show failed runs of the last 24 hours")
    night = Found(pgettext("of the palette", "Action"), title, "", runs_url(status="failed", ended="1"))
    return [night, *(Found(_("List"), f"{runs}: {title}", "", runs_url(**filters)) for title, filters in PRESETS)]


def find(site: AdminSite, request: HttpRequest, text: str) -> tuple[list[Found], bool]:
    """Return what the user may see of this text, and whether each search was in time."""
    searches: list[Callable[[AdminSite, HttpRequest, str], list[Found]]] = [
        partial(_by_id, WorkflowExecution), partial(_by_id, NodeExecution), _lines_by_id, _runs, _workflows, _starts,
        _nodes, _error_lists,
    ]  # fmt: skip
    results = [query_or_none("find", partial(each, site, request, text), limits.FIND_MS) for each in searches]
    return [found for result in results for found in result or []], None not in results


def _may_view(site: AdminSite, request: HttpRequest, model: type[Model]) -> bool:
    return site.is_registered(model) and site.get_model_admin(model).has_view_permission(request)


def _by_id(
    model: type[WorkflowExecution | NodeExecution], site: AdminSite, request: HttpRequest, text: str
) -> list[Found]:
    """Return rows whose id is, or begins with, this text."""
    if (bounds := _id_bounds(text)) is None or not _may_view(site, request, model):
        return []
    rows = model.objects.visible_to(request.user).filter(pk__range=bounds).only(*RESULT_COLUMNS[model])
    return [_row(row) for row in rows.order_by("-pk")[: limits.FOUND_ROWS]]


def _lines_by_id(site: AdminSite, request: HttpRequest, text: str) -> list[Found]:
    if (bounds := _id_bounds(text)) is None or not _may_view(site, request, ExecutionLog):
        return []
    rows = ExecutionLog.objects.visible_to(request.user).filter(pk__range=bounds).only("level", "timestamp")
    return [_line(row) for row in rows.order_by("-pk")[: limits.FOUND_ROWS]]


def _id_bounds(text: str) -> tuple[UUID, UUID] | None:
    """Return the first and the last id that begin with at least 8 hexadecimal digits."""
    if pk := parse_uuid(text):
        return pk, pk
    if not ID_PART.fullmatch(text):
        return None
    digits = text.replace("-", "")
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def _row(row: WorkflowExecution | NodeExecution) -> Found:
    name = row.workflow_name if isinstance(row, WorkflowExecution) else row.node_name
    return Found(
        capfirst(str(row._meta.verbose_name)),
        name,
        f"{statuses.label(row.status)} · {time_zones.clock(row.created_at)} · {row.pk}",
        reverse(f"admin:executions_{row._meta.model_name}_change", args=[row.pk]),
    )


def _line(row: ExecutionLog) -> Found:
    return Found(
        capfirst(str(row._meta.verbose_name)),
        str(row.pk),
        f"{row.get_level_display()} · {time_zones.clock(row.timestamp)}",
        reverse("admin:executions_executionlog_change", args=[row.pk]),
    )


def _runs(site: AdminSite, request: HttpRequest, text: str) -> list[Found]:
    """Return the newest runs with this correlation id or tag, and the list of those with this tag."""
    if not _may_view(site, request, WorkflowExecution):
        return []
    held = list_search.by_correlation_id_or_tag(text)
    rows = WorkflowExecution.objects.visible_to(request.user).filter(held).order_by("-created_at", "-pk")
    found = [_row(row) for row in rows.only(*RESULT_COLUMNS[WorkflowExecution])[: limits.FOUND_ROWS]]
    if not found:
        return []
    title = _("All runs with “%(text)s”") % {"text": text}
    return [*found, Found(_("List"), title, _("tag or correlation id"), runs_url(q=text))]


def _workflows(site: AdminSite, request: HttpRequest, text: str) -> list[Found]:
    if not _may_view(site, request, Workflow):
        return []
    rows = Workflow.objects.visible_to(request.user).alive().filter(names.contains("name", text))
    return [
        Found(_("Workflow"), name, "", reverse("admin:workflows_workflow_page", args=[pk]))
        for pk, name in rows.order_by("name", "pk").values_list("pk", "name")[: limits.FOUND_ROWS]
    ]


def _starts(site: AdminSite, request: HttpRequest, text: str) -> list[Found]:
    """Return the workflows with this text, or what "start" leaves of it, in their names, which the user may start."""
    if not site.get_model_admin(WorkflowExecution).has_change_permission(request):
        return []
    named = names.contains("name", _without_word(text, _("Start")))
    rows = visible_workflows(request.user).filter(named, is_active=True, deleted_at=None).order_by("name", "pk")
    return [
        Found(
            _("Action"), _("Start %(workflow)s") % {"workflow": name}, "", reverse("admin:executions_start", args=[pk])
        )
        for pk, name in rows.values_list("pk", "name")[: limits.FOUND_ROWS]
    ]


def _without_word(text: str, word: str) -> str:
    """Return the text without the word at its beginning or, as in Korean, at its end."""
    words = text.split()
    for place in (0, -1):
        if words and words[place].casefold() == word.casefold():
            del words[place]
            return " ".join(words)
    return text


def _nodes(site: AdminSite, request: HttpRequest, text: str) -> list[Found]:
    if not _may_view(site, request, NodeExecution):
        return []
    seen = Workflow.objects.visible_to(request.user).alive()
    rows = Node.objects.filter(names.contains("name", text), workflow__in=seen).order_by("name", "pk")
    nodes = reverse("admin:executions_nodeexecution_changelist")
    return [
        Found(_("Node"), name, workflow, f"{nodes}?{urlencode({'node': pk})}")
        for pk, name, workflow in rows.values_list("pk", "name", "workflow__name")[: limits.FOUND_ROWS]
    ]


def _error_lists(site: AdminSite, request: HttpRequest, text: str) -> list[Found]:
    """Return the lists of what has this text in its error or message."""
    if len(text) < SearchedTextFilter.min_length:
        return []
    period = _("in the last %(days)d days") % {"days": limits.SEARCHED_DAYS}
    lines = reverse("admin:executions_executionlog_changelist")
    runs = Found(_("List"), _("Runs with “%(text)s” in an error") % {"text": text}, period, runs_url(error=text))
    title, address = _("Warnings and errors with “%(text)s”") % {"text": text}, f"{lines}?{urlencode({'text': text})}"
    models = {WorkflowExecution: runs, ExecutionLog: Found(_("List"), title, period, address)}
    return [found for model, found in models.items() if _may_view(site, request, model)]
