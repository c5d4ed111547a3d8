"""Send one stream as server-sent events, with heartbeats and an end."""

import random
import weakref
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from django.core.handlers.asgi import ASGIRequest
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import patch_vary_headers

from executions.models import NodeExecution, WorkflowExecution
from ledgerkit.rest.renderers import to_json

from . import limits, topics
from .access_changes import AccessRow, StreamAccess
from .compression import Body, encoding_for
from .cursor import Cursor
from .db_threads import in_thread, release_connection
from .reader import Renderer, RunDeleted, Source, Step

LAST_EVENT_ID = "Last-Event-ID"  # the header in which a reconnecting client sends the id of the last event
TYPE = "text/event-stream"
HEARTBEAT = 15.0  # seconds of silence after which a comment is sent, because proxies close silent connections
RETRY = 2_000  # milliseconds after which a browser reconnects
CHECK_EVERY = 50.0  # seconds between two full checks if AccessWatch (access_changes.py) saw no change
STEPS = 10  # in one response to a poll; the next poll continues from there

HEAD = f"retry: {RETRY}\n\n".encode()
POLL = b"event: poll\ndata: {}\n\n"  # under WSGI, where no stream can be held open: use wait=0 instead


@dataclass(frozen=True)
class Reader:
    """Reader of a stream: source, start position and access.

    `render` turns a step into bytes, which all readers with the same `key` receive. `has_access()` checks the access
    again; it depends on `grounds`. The stream ends after `wait` seconds. After `heartbeat` seconds of silence it sends
    an event, which a page's script sees, unlike a comment. `is_new` is set if the client sent no event id.
    """

    source: Source
    start: Cursor
    key: Hashable
    render: Renderer
    has_access: Callable[[], bool]
    grounds: tuple[AccessRow, ...]
    user: Hashable
    wait: float | None = None
    heartbeat: float | None = None
    is_new: bool = False


class StreamResponse(StreamingHttpResponse):
    """Streaming response that releases its place when it is closed, even if nobody has read from it."""

    release: Callable[[], object]

    def close(self) -> None:
        self.release()
        super().close()


def stream_response(request: HttpRequest, reader: Reader) -> HttpResponseBase:
    """Return the stream; if none can be held open, or `wait` is 0, a response with what is new. Returns 204 if the end
    was sent before, after which a browser does not reconnect. Raises TooManyStreams, RunDeleted."""
    if reader.start.ended:
        step = reader.source.read(reader.start)
        if step.after.ended and not step.has_events:
            return HttpResponse(status=204)
    if request.method == "HEAD":
        return _as_stream(HttpResponse(content_type=TYPE))
    if reader.wait == 0 or not isinstance(request, ASGIRequest):
        poll_event = b"" if reader.wait == 0 else POLL
        return _as_stream(HttpResponse(HEAD + b"".join(_poll_body(reader)) + poll_event, content_type=TYPE))
    release = limits.acquire(reader.user)
    body = encoding_for(request.headers.get("Accept-Encoding", ""))()
    response = StreamResponse(_until_closed(reader, body, release), content_type=TYPE)
    response.release = release
    weakref.finalize(
        response, release
    ).atexit = False  # for a response that is never closed, as after an error in a middleware
    if body.encoding:
        response["Content-Encoding"] = body.encoding
    patch_vary_headers(response, ["Accept-Encoding"])
    return _as_stream(response)


def _as_stream[R: HttpResponseBase](response: R) -> R:
    response["X-Accel-Buffering"] = "no"  # otherwise nginx buffers the stream
    return response


def _poll_body(reader: Reader) -> Iterable[bytes]:
    cursor, has_sent = reader.start, False
    for _ in range(STEPS):
        step = reader.source.read(cursor)
        yield (text := reader.render(step))
        has_sent = has_sent or bool(text)
        cursor = step.after
        if not cursor.until:
            break
    if reader.is_new and not has_sent:  # a client without an id gets one, from which its next request continues
        yield format_event("heartbeat", "{}", cursor)


async def _until_closed(reader: Reader, body: Body, release: Callable[[], None]) -> AsyncIterator[bytes]:
    registry = topics.get_registry()
    topic = held = None
    try:
        await release_connection()
        yield body.begin + body.encode_next(body.make(HEAD))
        topic = registry.join(reader.source)
        held = registry.access.add(topic, reader.grounds)
        with suppress(RunDeleted):  # the next request gets the response for a deleted run
            async for piece in follow(registry, topic, reader, body, held):
                yield body.encode_next(piece)
        if body.end:
            yield body.end
    finally:
        if held:
            registry.access.remove(held)
        if topic:
            registry.leave(topic)
        release()


async def follow(
    registry: "topics.TopicRegistry", topic: "topics.Topic", reader: Reader, body: Body, held: StreamAccess
) -> AsyncIterator[object]:
    """Yield the encoded texts of a topic. Raises RunDeleted."""
    clock, cursor = registry.loop.time, reader.start
    last_sent = clock()
    silence = reader.heartbeat or HEARTBEAT
    ends = last_sent + reader.wait if reader.wait is not None else float("inf")
    check = last_sent + CHECK_EVERY * random.uniform(0.8, 1)  # noqa: S311  # not for cryptography: spreads the checks of all readers
    while not registry.is_closed and clock() < ends:
        due = min(last_sent + silence, check, ends)
        step = await topic.next_step(cursor, due)
        if held.needs_check or clock() >= check:
            if not await _has_access(reader, held):
                return
            check = clock() + CHECK_EVERY
        if step and step.has_events:
            yield await topic.render_once(step, (reader.key, body.encoding), partial(_encode, body.make, reader.render))
            last_sent = clock()
        elif clock() >= last_sent + silence:
            yield body.make(format_event("heartbeat", "{}", cursor) if reader.heartbeat else b": heartbeat\n\n")
            last_sent = clock()
        if step:
            cursor = step.after
            if cursor.ended:
                return


def _encode(make: Callable[[bytes], object], render: Renderer, step: Step) -> object:
    return make(render(step))


async def _has_access(reader: Reader, held: StreamAccess) -> bool:
    """Check the access again. If the database does not answer, keep the stream and check again soon."""
    held.needs_check = False
    try:
        return await in_thread(reader.has_access)
    except Error:
        held.needs_check = True
        return True


def format_events(
    step: Step,
    *,
    lines: Callable[[Step], str],
    node: Callable[[NodeExecution], object],
    run: Callable[[WorkflowExecution], object],
) -> bytes:
    """Return the events of a step as text. `lines` returns JSON. Log lines come first, with their own cursor: if the
    connection ends between two events, a state may be sent twice, but no line."""
    events = [format_event("logs", lines(step), step.after_lines)] if step.lines else []
    states = [("node", node(row)) for row in step.nodes]
    states += [("execution", run(row)) for row in (*step.runs, *([step.run] if step.run else []))]
    states += [("deleted", {"id": str(gone.run)}) for gone in step.deleted]
    if step.end:
        states.append(("end", {"id": str(step.end.pk), "status": step.end.status, "attempt": step.end.attempt}))
    for place, (kind, data) in enumerate(states, 1):
        events.append(format_event(kind, to_json(data), step.after if place == len(states) else step.after_lines))
    return b"".join(events)


def format_event(kind: str, text: str, cursor: Cursor) -> bytes:
    return f"event: {kind}\nid: {cursor}\ndata: {text}\n\n".encode()
