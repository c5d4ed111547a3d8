"""Live streams of runs as server-sent events. Access is checked in a thread by REST framework, as for every other
request; after that the stream is async and holds neither a thread nor a connection."""

from dataclasses import replace
from functools import partial
from typing import Any, cast
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponseBase
from rest_framework.exceptions import APIException, Throttled
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from executions.api.json_rows import node_row, run_row
from executions.api.row_lookups import PARENT, visible
from executions.live import server_sent_events
from executions.live.cursor import BadCursor, Cursor
from executions.live.limits import TooManyStreams
from executions.live.reader import AllRunsReader, Renderer, RunDeleted, RunReader, Source, Step, parse_cursor
from executions.live.reauthentication import access_rows, reauthenticated_request
from executions.models import WorkflowExecution
from executions.querysets import can_see_nodes_and_logs
from ledgerkit.db.read_database import read_primary
from ledgerkit.rest.django_request import django_request
from ledgerkit.rest.parameter_names import check_names
from ledgerkit.rest.query_params import BadQuery
from ledgerkit.rest.renderers import CompactJSONRenderer
from ledgerkit.rest.schema import extend_schema
from tokens.models import Token
from tokens.permissions import limit_to_token
from workflows.models import Workflow
from workflows.querysets import can_view_all

from .base import QueryMixin

SECONDS = {"wait": (0, 3_600), "heartbeat": (1, 60)}  # allowed range of each parameter
FROM = ("start", "now")
PARAMETERS: dict[str, tuple[str, dict[str, object]]] = {
    "from": (
        "First event without an id: all existing lines (`start`) or none (`now`).",
        {"type": "string", "enum": list(FROM), "default": FROM[0]},
    ),
    "last_event_id": (
        "The `id` of the last event, for clients that cannot set the header.",
        {"type": "string", "minLength": 1},
    ),
    "wait": (
        "Seconds after which the stream ends; 0 returns what is new and ends.",
        {"type": "integer", "minimum": SECONDS["wait"][0], "maximum": SECONDS["wait"][1]},
    ),
    "heartbeat": (
        "Seconds of silence after which an event `heartbeat` is sent; without it, a comment after 15 seconds.",
        {"type": "integer", "minimum": SECONDS["heartbeat"][0], "maximum": SECONDS["heartbeat"][1]},
    ),
}


class EventsRenderer(BaseRenderer):
    """Renderer of event streams, for content negotiation. Errors are JSON, as everywhere."""

    media_type = server_sent_events.TYPE
    format = "events"
    charset = None

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return bytes(CompactJSONRenderer().render(data, *args, **kwargs))


class StreamMixin(QueryMixin):
    renderer_classes = [EventsRenderer]
    is_stream = True
    parameters = {name: PARAMETERS[name] for name in ("last_event_id", "wait", "heartbeat")}
    new = "now"
    run_id: UUID | None = None

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        read_primary()
        super().initial(request, *args, **kwargs)

    def follow(self, request: Request) -> HttpResponseBase:
        check_names(request, self.parameters)
        source = self.source()
        reader = server_sent_events.Reader(
            source,
            start=self._cursor(request, source),
            is_new=not _last_event_id(request),
            key=self.key(request),
            render=self.renderer(request),
            has_access=partial(may_still_follow, type(self), django_request(request), self.kwargs, self.key(request)),
            user=request.user.pk,
            grounds=access_rows(django_request(request), cast("Token | None", request.auth), self.run_id),
            wait=self._seconds(request, "wait"),
            heartbeat=self._seconds(request, "heartbeat"),
        )
        try:
            return server_sent_events.stream_response(django_request(request), reader)
        except TooManyStreams as full:
            raise Throttled(full.WAIT, str(full)) from None
        except RunDeleted:
            raise Http404 from None

    def source(self) -> Source:
        """Return the source to follow. Raises Http404 where the caller may not see it."""
        raise NotImplementedError  # the stream of one run and that of all runs each implement it

    def key(self, request: Request) -> Any:
        """Return a key; readers with equal keys receive the same bytes."""
        raise NotImplementedError  # the stream of one run and that of all runs each implement it

    def renderer(self, request: Request) -> Renderer:
        raise NotImplementedError  # the stream of one run and that of all runs each implement it

    def _cursor(self, request: Request, source: Source) -> Cursor:
        event_id = _last_event_id(request)
        new = request.query_params.get("from", self.new)
        if new not in FROM:
            raise BadQuery("from", f"Expected one of: {', '.join(FROM)}.")
        try:
            return parse_cursor(event_id) if event_id else source.begin(new)
        except BadCursor:
            raise BadQuery(
                "last_event_id",
                "This is not the id of an event of this ledger. Leave it out to start from the beginning.",
            ) from None

    def _seconds(self, request: Request, name: str) -> float | None:
        text = request.query_params.get(name)
        if text is None:
            return None
        least, most = SECONDS[name]
        if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most):
            raise BadQuery(name, f"Expected a whole number of seconds from {least} to {most}.")
        return int(text)


def _last_event_id(request: Request) -> str | None:
    """Return the id of the last event. The header is newer: a browser sets it when it reconnects."""
    return request.headers.get(server_sent_events.LAST_EVENT_ID) or request.query_params.get("last_event_id")


@extend_schema(tags=["executions"])
class StreamOfExecution(StreamMixin):
    basename = "execution"
    parameters = PARAMETERS
    new = "start"

    @extend_schema(
        operation_id="getExecutionStream",
        summary="Follow a run",
        description=(
            "Server-sent events: `logs` (lines as in `logs/`), `node` and `execution` (as in their lists, whenever one "
            "was created or changed), then `end`. Existing rows are sent first; `from=now` leaves out existing lines. "
            "A client continues with the `id` of an event in `Last-Event-ID`: no line is missed or repeated, a state "
            "may be repeated. Comments are sent during silence. 204 if the end was sent before; 429 if too many "
            "streams are open."
        ),
    )
    def stream(self, request: Request, **kwargs: object) -> HttpResponseBase:
        return self.follow(request)

    def source(self) -> RunReader:
        self.execution = visible(self.request, PARENT.first(self.kwargs["execution_id"]))
        self.run_id = self.execution.pk
        return RunReader(self.execution.pk)

    def key(self, request: Request) -> Any:
        return ("json", *can_see_nodes_and_logs(request.user, self.execution))

    def renderer(self, request: Request) -> Renderer:
        return partial(as_json, *can_see_nodes_and_logs(request.user, self.execution))


@extend_schema(tags=["executions"])
class StreamOfExecutions(StreamMixin):
    basename = "execution"

    def source(self) -> AllRunsReader:
        return AllRunsReader()

    @extend_schema(
        operation_id="getExecutionMoves",
        summary="Follow the transitions of all runs",
        description=(
            "Server-sent events: `execution` for each run that is created or changed from now on, as in the list, and "
            "`deleted` for each that is deleted. A client continues with the `id` of an event in `Last-Event-ID`. "
            "429 if too many streams are open."
        ),
    )
    def changes(self, request: Request, **kwargs: object) -> HttpResponseBase:
        return self.follow(request)

    def key(self, request: Request) -> Any:
        """Return a key per user and token, because each sees other runs."""
        user, token = request.user, request.auth
        bound = (token.pk, *token.bound_to) if isinstance(token, Token) else None
        return ("json", user.pk, bound, can_view_all(user, "executions.view_workflowexecution"))

    def renderer(self, request: Request) -> Renderer:
        sees_all = can_view_all(request.user, "executions.view_workflowexecution")
        of = Workflow.objects.all() if sees_all else Workflow.objects.filter(owner=request.user.pk)
        runs = limit_to_token(WorkflowExecution.objects.visible_to(request.user), request)
        return partial(visible_as_json, runs, limit_to_token(of, request, "id"))


def as_json(nodes: bool, lines: bool, step: Step) -> bytes:
    """Render runs, nodes and lines as in their lists."""
    return server_sent_events.format_events(
        step.without(nodes=not nodes, lines=not lines),
        lines=lambda step: f"[{','.join(line.text for line in step.lines)}]",
        node=lambda node: node_row(vars(node)),
        run=lambda run: run_row(vars(run)),
    )


def visible_as_json(runs: object, workflows: object, step: Step) -> bytes:
    """Render a step with the rows that the caller may see. For a deleted run its workflow decides."""
    shown = _among(runs, {run.pk for run in step.runs})
    whose = _among(workflows, {gone.workflow for gone in step.deleted})
    left = [gone for gone in step.deleted if gone.workflow in whose]
    return as_json(True, True, replace(step, runs=[run for run in step.runs if run.pk in shown], deleted=left))


def _among(visible: Any, ids: set[UUID]) -> set[UUID]:
    return set(visible.filter(pk__in=ids).values_list("pk", flat=True)) if ids else set()


def may_still_follow(
    view_class: type[StreamMixin], request: HttpRequest, kwargs: dict[str, object], key: object
) -> bool:
    """Authenticate and authorize the request again: the token may have been revoked, a permission removed."""
    view = view_class(kwargs=kwargs, action_map={"get": "stream"}, request=None)  # sets the action
    again = view.request = view.initialize_request(reauthenticated_request(request))
    try:
        view.perform_authentication(again)
        view.check_permissions(again)
        view.source()
        return bool(view.key(again) == key)
    except (APIException, Http404):
        return False


stream_of_execution = StreamOfExecution.as_view({"get": "stream"}, basename="execution")
stream_of_executions = StreamOfExecutions.as_view({"get": "changes"}, basename="execution")
