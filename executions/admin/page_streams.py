"""Event streams of a run's page and of its log page: the API's stream, rendered as HTML. `?lines=rows` renders log
lines for the table of the run's page, else for the log page."""

import json
from functools import partial
from uuid import UUID

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import get_script_prefix, reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from executions import limits
from executions.admin.types import JSON
from executions.live import server_sent_events
from executions.live.cursor import BadCursor, Cursor
from executions.live.limits import TooManyStreams
from executions.live.reader import AllRunsReader, RunDeleted, RunReader, Step, parse_cursor
from executions.live.reauthentication import access_rows, reauthenticated_request
from executions.models import NodeExecution, WorkflowExecution
from executions.querysets import can_see_nodes_and_logs
from executions.states import ENDED
from ledgerkit import visible_text
from ledgerkit.db.read_database import read_primary
from ledgerkit.path_prefix import path_prefix
from ledgerkit.rest.renderers import to_json

from . import log_line_rows, statuses

PARTIALS = {"rows": "admin/executions/_log_rows.html", "": "admin/executions/logs/_lines.html"}
BEATS = 2  # seconds of silence after which the page gets a heartbeat
# Lines of a step: the page of a run shows only the newest ones.
MAX_ROWS = {PARTIALS["rows"]: limits.LINES}


def current_cursor(run: WorkflowExecution) -> str:
    """Return the cursor for a page that is read after this call. The stream may repeat lines that the page contains,
    which the page recognizes by their ids, and misses none."""
    return str(Cursor.at(RunReader(run.pk).snapshot()))


def stream_url(run: WorkflowExecution, lines: str = "") -> str | None:
    """Return the URL of the stream for a page that is rendered after this call; None if the run has ended."""
    if run.status in ENDED:
        return None
    rows = f"&lines={lines}" if lines else ""
    return f"{reverse('admin:executions_stream', args=[run.pk])}?last_event_id={current_cursor(run)}{rows}"


def all_runs_stream_url() -> str:
    """Return the URL of the stream of all runs for a page that reads its rows after this call, so that no change is
    lost before the stream is open."""
    return f"{reverse('ledger:executions-stream')}?last_event_id={Cursor.at(AllRunsReader().snapshot())}"


def run_stream_view(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Stream of one run for the admin (staff only)."""
    read_primary()
    run = _get_visible_run(request, pk)
    try:
        return server_sent_events.stream_response(request, _reader(request, run))
    except BadCursor:
        return HttpResponse(_("This is not the id of an event. Load the page again."), status=400)
    except TooManyStreams as full:
        return HttpResponse(str(full), status=429, headers={"Retry-After": str(full.WAIT)})
    except RunDeleted:
        raise Http404 from None


def _reader(request: HttpRequest, run: WorkflowExecution) -> server_sent_events.Reader:
    """Return the reader of the stream. Raises BadCursor, TooManyStreams, RunDeleted."""
    last_event_id = request.headers.get("Last-Event-ID") or request.GET.get("last_event_id", "")
    source, key = RunReader(run.pk), _key(request, run)
    return server_sent_events.Reader(
        source,
        start=parse_cursor(last_event_id) if last_event_id else source.begin("now"),
        key=key,
        render=partial(as_html, key),
        has_access=partial(_may_still, request, run.pk, key),
        grounds=access_rows(request, run=run.pk),
        user=request.user.pk,
        wait=0 if request.GET.get("wait") == "0" else None,
        heartbeat=BEATS,
    )


def _get_visible_run(request: HttpRequest, pk: UUID) -> WorkflowExecution:
    """Return the run. Raises Http404 if the user may not see it."""
    if not admin.site.get_model_admin(WorkflowExecution).has_view_permission(request):
        raise Http404
    runs = WorkflowExecution.objects.visible_to(request.user).select_related("workflow").without_payload()
    run: WorkflowExecution = get_object_or_404(runs, pk=pk)
    return run


type Key = tuple[str, str, str, str, bool, bool]  # template, language, time zone, path prefix, and permissions


def _key(request: HttpRequest, run: WorkflowExecution) -> Key:
    """Return a key; readers with equal keys receive the same bytes."""
    lines = request.GET.get("lines", "")
    zone = str(timezone.get_current_timezone())
    return (
        PARTIALS.get(lines, PARTIALS[""]),
        translation.get_language(),
        zone,
        get_script_prefix(),
        *can_see_nodes_and_logs(request.user, run),
    )


def _may_still(request: HttpRequest, pk: UUID, key: Key) -> bool:
    repeated = reauthenticated_request(request)
    try:
        return (
            admin.site.has_permission(repeated)
            and can_see_nodes_and_logs(repeated.user, _get_visible_run(repeated, pk)) == key[4:]
        )
    except Http404:
        return False


def as_html(key: Key, step: Step) -> bytes:
    partial_name, language, zone, prefix, nodes, lines = key
    with translation.override(language), timezone.override(zone), path_prefix(prefix):
        return server_sent_events.format_events(
            step.without(nodes=not nodes, lines=not lines),
            lines=partial(_render_lines, partial_name, nodes),
            node=_render_state,
            run=lambda run: (
                _render_state(run) | {"announcement": _("The run: %(status)s") % {"status": statuses.label(run.status)}}
            ),
        )


def _render_lines(partial_name: str, with_nodes: bool, step: Step) -> str:
    """Return the HTML of the lines as JSON. Of `count` lines, the first `left_out` have no HTML."""
    left_out = max(0, len(step.lines) - MAX_ROWS.get(partial_name, len(step.lines)))
    lines = [json.loads(line.text) for line in step.lines[left_out:]]
    rows = log_line_rows.rows_from_json(lines, shows_nodes=with_nodes)
    html = render_to_string(partial_name, {"lines": rows, "run": step.of})
    shown = {"html": visible_text.show_on_page(html), "count": len(step.lines), "left_out": left_out}
    return to_json(shown | {"last": rows[-1].pk})


def _render_state(row: WorkflowExecution | NodeExecution) -> JSON:
    return {
        "id": str(row.pk),
        "status": row.status,
        "word": statuses.label(row.status),
        "badge": statuses.row_badge(row),
        "attempt": row.attempt,
    }
