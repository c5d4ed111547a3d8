"""One search for everything that has a name or an id, such as runs, workflows and groups of errors.

The page works without scripts; the palette (ledgerkit/palette.js) asks for the same as JSON.
"""

from dataclasses import asdict, dataclass
from functools import partial
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.views.main import SEARCH_VAR
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from executions import limits
from executions.admin.filters.presets import PRESETS, runs_url
from executions.admin.filters.text_filters import SearchedTextFilter
from executions.admin.filters.visible_workflows import visible_workflows
from executions.admin.section_queries import query_or_none
from executions.models import ErrorGroup, ExecutionLog, NodeExecution, WorkflowExecution
from executions.models.error_group import ErrorGroupQuerySet
from ledgerkit.db import names
from ledgerkit.db.models import parse_uuid
from workflows.models import Node, Workflow

from . import list_search
from .by_id import BY_ID, GROUP_COLUMNS, Found, Search, may_view, present_execution, present_group

MAX_QUERY_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows that the user may see, and whether each search was in time."""

    found: list[Found]
    is_complete: bool = True

    @property
    def names_nothing(self) -> bool:
        """Return whether nothing was found but searches that are offered for every text."""
        return self.is_complete and bool(self.found) and all(each.is_search for each in self.found)


def find_view(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Render what is found for `?q=`, or redirect to the page of a complete id; with `format=json` as the palette reads
    it."""
    text = names.nfc(request.GET.get("q", "").replace("\0", "").strip()[:MAX_QUERY_LENGTH])
    if request.GET.get("format") == "json":
        answer = _answer(site, request, text)
        json = asdict(answer) | {"names_nothing": answer.names_nothing}
        return JsonResponse(json, headers={"Cache-Control": "no-store"})
    page = query_or_none("find", partial(_page_of_id, site, request, text), limits.FIND_MS)
    return redirect(page) if page else _find_page(site, request, text)


def _find_page(site: AdminSite, request: HttpRequest, text: str) -> TemplateResponse:
    title = _("Search: %(text)s") % {"text": text} if text else _("Search")
    shown = {"title": title, "q": text, "answer": _answer(site, request, text), "longest": MAX_QUERY_LENGTH}
    return TemplateResponse(request, "admin/executions/find.html", site.each_context(request) | shown)


def _answer(site: AdminSite, request: HttpRequest, text: str) -> Answer:
    return find(site, request, text) if text else Answer(_starting_points(site, request))


def _page_of_id(site: AdminSite, request: HttpRequest, text: str) -> str | None:
    """Return the URL of the page of what has this complete id; None if there is none that the user may see."""
    if parse_uuid(text) is None:
        return None
    rows = (each.address for search in BY_ID for each in search(site, request, text))
    return list_search.find_url(site, request, text) or next(rows, None)


def _starting_points(site: AdminSite, request: HttpRequest) -> list[Found]:
    """Return the lists that need no search: the failed runs of the last 24 hours, and the presets of the runs."""
    if not may_view(site, request, WorkflowExecution):
        return []
    runs = capfirst(str(WorkflowExecution._meta.verbose_name_plural))
    title = _("Show failed runs of the last 24 hours")
    failed = Found(pgettext("of the palette", "Action"), title, "", runs_url(status="failed", ended="1"))
    return [failed, *(Found(_("List"), f"{runs}: {title}", "", runs_url(**filters)) for title, filters in PRESETS)]


def find(site: AdminSite, request: HttpRequest, text: str) -> Answer:
    """Return what the user may see of this text."""
    searches: list[Search] = [*BY_ID, _runs, _workflows, _starts, _nodes, _error_groups, _error_lists]
    results = [query_or_none("find", partial(each, site, request, text), limits.FIND_MS) for each in searches]
    return Answer([found for result in results for found in result or []], None not in results)


def _runs(site: AdminSite, request: HttpRequest, text: str) -> list[Found]:
    """Return the newest runs with this correlation id or tag, and the list of those with this tag."""
    if not may_view(site, request, WorkflowExecution):
        return []
    held = list_search.by_correlation_id_or_tag(text)
    rows = WorkflowExecution.objects.visible_to(request.user).filter(held).order_by("-created_at", "-pk")
    columns = ("workflow_name", "status", "created_at")
    found = [present_execution(row) for row in rows.only(*columns)[: limits.FOUND_ROWS]]
    if not found:
        return []
    title = _("All runs with “%(text)s”") % {"text": text}
    return [*found, Found(_("List"), title, _("tag or correlation id"), runs_url(q=text))]


def _workflows(site: AdminSite, request: HttpRequest, text: str) -> list[Found]:
    if not may_view(site, request, Workflow):
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
    if not may_view(site, request, NodeExecution):
        return []
    seen = Workflow.objects.visible_to(request.user).alive()
    rows = Node.objects.filter(names.contains("name", text), workflow__in=seen).order_by("name", "pk")
    nodes = reverse("admin:executions_nodeexecution_changelist")
    return [
        Found(_("Node"), name, workflow, f"{nodes}?{urlencode({'node': pk})}")
        for pk, name, workflow in rows.values_list("pk", "name", "workflow__name")[: limits.FOUND_ROWS]
    ]


def _error_groups(site: AdminSite, request: HttpRequest, text: str) -> list[Found]:
    """Return the newest groups of errors with this text, and the list of all if there are more."""
    if len(text) < SearchedTextFilter.min_length or not may_view(site, request, ErrorGroup):
        return []
    named = groups_with(text, ErrorGroup.objects.visible_to(request.user)).only(*GROUP_COLUMNS)
    rows = list(named[: limits.FOUND_ROWS + 1])
    found = [present_group(row) for row in rows[: limits.FOUND_ROWS]]
    if len(rows) <= limits.FOUND_ROWS:
        return found
    title, groups = (
        _("All error groups with “%(text)s”") % {"text": text},
        reverse("admin:executions_errorgroup_changelist"),
    )
    return [*found, Found(_("List"), title, "", f"{groups}?{urlencode({SEARCH_VAR: text})}")]


def groups_with(text: str, groups: ErrorGroupQuerySet) -> ErrorGroupQuerySet:
    """Return those of these groups that their list finds by this text, in its order, which an index has."""
    return groups.current().filter(title__icontains=text).order_by("-opened_at", "-pk")


def _error_lists(site: AdminSite, request: HttpRequest, text: str) -> list[Found]:
    """Return the lists of what has this text in its error or message."""
    if len(text) < SearchedTextFilter.min_length:
        return []
    period = _("in the last %(days)d days") % {"days": limits.SEARCHED_DAYS}
    lines = reverse("admin:executions_executionlog_changelist")
    searches = {
        WorkflowExecution: (_("Runs with “%(text)s” in an error"), runs_url(error=text)),
        ExecutionLog: (_("Warnings and errors with “%(text)s”"), f"{lines}?{urlencode({'text': text})}"),
    }
    return [
        Found(_("List"), title % {"text": text}, period, address, is_search=True)
        for model, (title, address) in searches.items()
        if may_view(site, request, model)
    ]
