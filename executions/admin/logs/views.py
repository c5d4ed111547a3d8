"""Views of a run's log: the page, windows of lines, the index for the scrollbar, and the download."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from executions import absent_log_lines, limits
from executions.admin import log_line_rows, page_streams
from executions.admin.base import ReadOnlyAdmin
from executions.admin.log_line_rows import LogLine
from executions.admin.types import Context, Lines
from executions.models import LogLevel, NodeExecution, WorkflowExecution
from executions.querysets import can_see, can_see_nodes_and_logs
from executions.states import ACTIVE
from ledgerkit.db.timeouts import StatementTimeout, no_sort, statement_timeout

from . import download, paging, querysets, scrollbar_index
from .javascript_texts import javascript_texts
from .query_parameters import ALL, CONTEXTS, TIMES, InvalidLogQuery, LogQuery

TROUBLE = {LogLevel.WARNING, LogLevel.ERROR}

FOLDER = "admin/executions/logs"
MOST_ATTEMPTS = 100  # offered in the form

type View = Callable[..., HttpResponseBase]


def urls(admin: ReadOnlyAdmin) -> list[URLPattern]:
    """Return the URL patterns, which the admin of runs adds before its own."""
    views: dict[str, tuple[str, Any]] = {
        "logs": ("", log_page),
        "log_window": ("lines/", log_window),
        "log_index": ("index/", index_view),
        "log_download": ("download/", download_view),
    }
    return [
        path(f"<uuid:pk>/logs/{end}", admin.admin_site.admin_view(_view_of_run(admin, view)), name=f"executions_{name}")
        for name, (end, view) in views.items()
    ]


class LogRequest:
    """A request for the log of a run, with the parsed query and the visible lines."""

    def __init__(self, admin: ReadOnlyAdmin, request: HttpRequest, run: WorkflowExecution) -> None:
        self.admin, self.request, self.run = admin, request, run
        self.log_query = LogQuery.read(request.GET)
        self.every_line = run.logs.visible_to(request.user)
        self.lines = self.log_query.lines(run, request.user)

    @property
    def view(self) -> Lines:
        """Return the filtered lines from the view's first line on."""
        key = querysets.key_of(self.every_line, self.log_query.start) if self.log_query.start else None
        return querysets.lines_from(self.lines, key) if key else self.lines

    def lines_context(self, lines: list[LogLine], at: UUID | None = None) -> Context:
        """Return the context of _lines.html."""
        before = querysets.time_before(self.view, lines[0]) if lines and lines[0].place is None else None
        if not can_see_nodes_and_logs(self.request.user, self.run)[0]:
            lines = log_line_rows.without_nodes(lines)
        return {"lines": lines, "run": self.run, "log_query": self.log_query, "before": before, "at": at}


def _view_of_run(admin: ReadOnlyAdmin, view: Callable[[LogRequest], HttpResponseBase]) -> View:
    """Wrap a view of LogRequest: allow GET and HEAD alone, and check permission for the run and its log."""

    @wraps(view)
    def view_of_run(request: HttpRequest, pk: UUID) -> HttpResponseBase:
        if request.method not in {"GET", "HEAD"}:
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        if (run := _get_run(admin, request, pk)) is None:
            response: HttpResponse = admin.not_found_response(request, str(pk))
            return response
        if not can_see(request.user, "executionlog", run.workflow.owner_id):
            return _problem_page(admin, request, run, "forbidden", 403)
        return _respond(admin, view, request, run)

    return view_of_run


def _respond(
    admin: ReadOnlyAdmin, view: Callable[[LogRequest], HttpResponseBase], request: HttpRequest, run: WorkflowExecution
) -> HttpResponseBase:
    """Call the view with a timeout of LOG_PAGE_MS for each statement, and render its errors as pages."""
    try:
        with statement_timeout(limits.LOG_PAGE_MS):
            return _render(view(LogRequest(admin, request, run)))
    except InvalidLogQuery as wrong:
        return _problem_page(admin, request, run, "unreadable", 400, wrong=wrong)
    except StatementTimeout:
        return _problem_page(admin, request, run, "too_slow", 503, log_query=LogQuery.read(request.GET))


def _render(response: HttpResponseBase) -> HttpResponseBase:
    """Render a template response now: its last queries run while the statement timeout is set."""
    return response.render() if isinstance(response, TemplateResponse) else response


def _get_run(admin: Any, request: HttpRequest, pk: UUID) -> Any:
    if not admin.has_view_permission(request):
        raise PermissionDenied
    return admin.get_queryset(request).only(*admin.columns, "workflow__owner").filter(pk=pk).first()


def _problem_page(
    admin: ReadOnlyAdmin, request: HttpRequest, run: WorkflowExecution, state: str, status: int, **more: object
) -> HttpResponse:
    """Render a page that explains why it has no lines; for a script only its fragment."""
    context = _frame(admin, request, run) | more | {"state": state}
    template = "_state.html" if "fragment" in request.GET else "page.html"
    return TemplateResponse(request, f"{FOLDER}/{template}", context, status=status)


def _frame(admin: ReadOnlyAdmin, request: HttpRequest, run: WorkflowExecution) -> Context:
    site: dict[str, object] = admin.admin_site.each_context(request)
    title = _("Log of %(workflow)s") % {"workflow": run.workflow_name}
    return site | {"opts": admin.opts, "run": run, "title": title}


# --- the page -----------------------------------------------------------------
def log_page(log: LogRequest) -> HttpResponse:
    stream = page_streams.stream_url(log.run)  # before any line is read: it sends what is added meanwhile
    at, no_error = paging.requested_line(log.request.GET, log.view)
    counted = _index_or_none(log, _boundary_id(log.request.GET) or at)
    # A page of matches needs the index; a page of lines does without it.
    if counted is None and log.log_query.shows_matches_only:
        raise StatementTimeout
    shown = _page_context(log, counted, at)
    context = log.lines_context(shown.lines, shown.at) | _form_context(log) | _link_context(log.log_query, shown)
    context |= {"index": counted, "script": counted and counted.for_script(), "shown": shown}
    context |= _gaps(log) | {"no_error": no_error, "is_active": log.run.status in ACTIVE, "stream": stream}
    if not shown:
        context["state"] = _why_empty(log)
    if context.get("state") == "no_lines" and (context.get("removed") or context.get("dropped")):
        context["state"] = "removed"
    return TemplateResponse(log.request, f"{FOLDER}/page.html", _frame(log.admin, log.request, log.run) | context)


def _boundary_id(query: QueryDict) -> UUID | None:
    """Return the line after which a page of matches starts, or before which it ends."""
    return paging.id_of(query, "after") or paging.id_of(query, "before")


def _page_context(log: LogRequest, counted: scrollbar_index.Index | None, at: UUID | None) -> paging.LogPage:
    if counted and log.log_query.shows_matches_only:
        return paging.search_page(log.request.GET, log.view, counted)
    with _sort_setting(log):
        return paging.first_page(log.request.GET, log.view, log.every_line, at)


def _sort_setting(log: LogRequest) -> AbstractContextManager[None]:
    """Disable sorts in the planner unless a filter leaves few lines. All lines, or nearly all, come in order from one
    index; those of a node, of WARNING and above, or at given positions are few and come from another one."""
    is_narrowed = log.log_query.node or log.log_query.level in TROUBLE or "places" in log.request.GET
    return nullcontext() if is_narrowed else no_sort()


def _index_or_none(log: LogRequest, pk: UUID | None) -> scrollbar_index.Index | None:
    """Return the index; None if it times out, as the page can show lines without it."""
    try:
        with statement_timeout(limits.LOG_PAGE_MS):
            return scrollbar_index.build_index(log.view, log.log_query.q, pk)
    except StatementTimeout:
        return None


def _form_context(log: LogRequest) -> Context:
    rows = log.run.node_executions.visible_to(log.request.user).only("node_name", "attempt")
    offered = list(rows.order_by("execution_order", "id")[: limits.NODES + 1])
    # The selected node stays offered even if the list is cut before it.
    more, offered = len(offered) > limits.NODES, offered[: limits.NODES]
    if more and log.log_query.node not in {row.pk for row in offered}:
        offered += rows.filter(pk__in=[log.log_query.node])
    return {
        "levels": LogLevel.choices[1:],  # without the lowest level, which would filter nothing
        "node_executions": offered,
        "more_node_executions": more,
        "attempts": _attempts(log, offered),
        "contexts": [each for each in CONTEXTS if each != ALL],
        "times": TIMES.items(),
        "words": javascript_texts(),
    }


def _attempts(log: LogRequest, nodes: list[NodeExecution]) -> range:
    """Return the attempts that lines may be of; none if there is but one."""
    last = max(log.run.attempt, log.log_query.attempt, *(node.attempt for node in nodes))
    return range(1, min(last, MOST_ATTEMPTS) + 1) if last > 1 else range(0)


def _gaps(log: LogRequest) -> Context:
    """Return what is not in the log: lines that were removed or not stored, and the first missing ones. It is not read
    for a view of a part of the log."""
    if log.log_query.is_narrowed:
        return {}
    removed = absent_log_lines.removed_lines(log.run)
    return {
        "removed": removed,
        "dropped": absent_log_lines.dropped_lines(log.run),
        "missing": log_line_rows.first_missing(log.run, removed),
    }


def _link_context(log_query: LogQuery, shown: paging.LogPage) -> dict[str, str]:
    everything = log_query.without("level", "node", "attempt", "q", "start")
    links = {
        "first_link": log_query.query(),
        "end_link": log_query.query(at=paging.END),
        "error_link": log_query.without("q").query(at=paging.FIRST_ERROR),
        "older_link": log_query.query(before=shown.older) if shown.older else "",
        "newer_link": log_query.query(after=shown.newer) if shown.newer else "",
    }
    for name, query in (("this", log_query), ("all", everything)):
        for kind, suffix in (("text", "text"), ("jsonl", "json")):
            links[f"{name}_{suffix}"] = "download/" + query.query(format=kind)
    return links


def _why_empty(log: LogRequest) -> str:
    query = log.request.GET
    if not log.every_line.exists():
        return "no_lines_yet" if log.run.status in ACTIVE else "no_lines"
    if "after" in query or "before" in query:
        return "no_more"
    return "no_such_line" if "at" in query and not log.log_query.is_narrowed else "no_match"


# --- requests of the page's script --------------------------------------------
def log_window(log: LogRequest) -> HttpResponse:
    """Render a window of lines; with `whole`, the full message of one line."""
    if (pk := paging.id_of(log.request.GET, "whole")) is not None:
        return TemplateResponse(
            log.request, f"{FOLDER}/_whole_message.html", {"message": _message(log, pk), "log_query": log.log_query}
        )
    with _sort_setting(log):
        rows = paging.window(log.request.GET, log.view)
    response = TemplateResponse(log.request, f"{FOLDER}/_lines.html", log.lines_context(rows))
    response["X-Lines"] = str(len(rows))
    return response


def _message(log: LogRequest, pk: UUID) -> str:
    found: str | None = log.every_line.filter(pk=pk).values_list("message", flat=True).first()
    if found is None:
        raise Http404
    return found


def index_view(log: LogRequest) -> HttpResponse:
    at, _none = paging.requested_line(log.request.GET, log.view)
    return JsonResponse(scrollbar_index.build_index(log.view, log.log_query.q, at).for_script())


# --- the download -----------------------------------------------------------------
def download_view(log: LogRequest) -> HttpResponseBase:
    """Download the log; `format` is "text" or "jsonl"."""
    kind = log.request.GET.get("format", "text")
    if kind not in download.TYPES:
        raise InvalidLogQuery("format", kind)
    return download.download_response(log.request, log.run, log.view, log.log_query, kind)
