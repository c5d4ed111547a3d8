"""One stream as Server-sent events: what its reader is told, heartbeats between, and an end."""

import json
import random
import weakref
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import patch_vary_headers

from executions.models import NodeExecution, WorkflowExecution

from . import hub, limits
from .compression import Way, encoding_for
from .cursor import Cursor
from .db_threads import in_thread, release_connection
from .reader import Renderer, RunDeleted, Source, Step
from .rights import Ground, Held

LAST_EVENT_ID = "Last-Event-ID"  # the header with which a client that connects again names the last event
TYPE = "text/event-stream"
HEARTBEAT = 15.0  # seconds of silence after which a comment is sent: proxies close what is silent
RETRY = 2_000  # milliseconds after which a browser connects again
CHECKED = 50.0  # seconds between two full checks of a reader for whom `rights` has noticed nothing
STEPS = 10  # in one answer to a poll; the next poll goes on from there

HEAD = f"retry: {RETRY}\n\n".encode()
POLL = b"event: poll\ndata: {}\n\n"  # to who wanted a stream, where none can be held open: ask with wait=0 instead


@dataclass(frozen=True)
class Reader:
    """One reader: source, position and permissions. Readers of one `key` receive the same bytes, which `render` makes
    of a step; `may_still()` checks the permission again, which rests on `grounds`. The stream ends after `wait`
    seconds; after `heartbeat` seconds of silence it sends an event, which a page's script sees, unlike a comment.
    `is_new` is set where no event id was sent."""

    source: Source
    begins: Cursor
    key: Hashable
    render: Renderer
    may_still: Callable[[], bool]
    grounds: tuple[Ground, ...]
    user: Hashable
    wait: float | None = None
    heartbeat: float | None = None
    is_new: bool = False


class StreamResponse(StreamingHttpResponse):
    """Gives its place back when it is closed, also where nobody has begun to read it."""

    give_back: Callable[[], object]

    def close(self) -> None:
        self.give_back()
        super().close()


def stream_response(request: HttpRequest, reader: Reader) -> HttpResponseBase:
    """The stream; or, where none can be held open or none is wanted, what is new. 204 where the reader has been told
    the end already, after which a browser does not ask again. Raises TooManyStreams, RunDeleted."""
    if reader.begins.ended:
        step = reader.source.read(reader.begins)
        if step.after.ended and not step.tells:
            return HttpResponse(status=204)
    if request.method == "HEAD":
        return _as_stream(HttpResponse(content_type=TYPE))
    if reader.wait == 0 or not isinstance(request, ASGIRequest):
        asks_again = b"" if reader.wait == 0 else POLL
        return _as_stream(HttpResponse(HEAD + b"".join(_news(reader)) + asks_again, content_type=TYPE))
    give_back = limits.acquire(reader.user)
    way = encoding_for(request.headers.get("Accept-Encoding", ""))()
    response = StreamResponse(_until_closed(reader, way, give_back), content_type=TYPE)
    response.give_back = give_back
    weakref.finalize(response, give_back).atexit = False  # or closes it, as where a middleware fails on its way out
    if way.encoding:
        response["Content-Encoding"] = way.encoding
    patch_vary_headers(response, ["Accept-Encoding"])
    return _as_stream(response)


def _as_stream[R: HttpResponseBase](response: R) -> R:
    response["X-Accel-Buffering"] = "no"  # nginx would keep it until it is long
    return response


def _news(reader: Reader) -> Iterable[bytes]:
    cursor, told = reader.begins, False
    for _ in range(STEPS):
        step = reader.source.read(cursor)
        yield (text := reader.render(step))
        told = told or bool(text)
        cursor = step.after
        if not cursor.until:
            break
    if reader.is_new and not told:  # who said no id learns one, from which the next question goes on
        yield format_event("heartbeat", "{}", cursor)


async def _until_closed(reader: Reader, way: Way, give_back: Callable[[], None]) -> AsyncIterator[bytes]:
    here = hub.get_hub()
    topic = held = None
    try:
        await release_connection()
        yield way.begin + way.sent(way.make(HEAD))
        topic = here.join(reader.source)
        held = here.rights.hold(topic, reader.grounds)
        with suppress(RunDeleted):  # who asks again is told
            async for piece in follow(here, topic, reader, way, held):
                yield way.sent(piece)
        if way.end:
            yield way.end
    finally:
        if held:
            here.rights.let_go(held)
        if topic:
            here.leave(topic)
        give_back()


async def follow(here: "hub.Hub", topic: "hub.Topic", reader: Reader, way: Way, held: Held) -> AsyncIterator[Any]:
    """Yield the encoded texts of a topic. Raises RunDeleted."""
    clock, cursor = here.loop.time, reader.begins
    spoken = clock()
    silence = reader.heartbeat or HEARTBEAT
    ends = spoken + reader.wait if reader.wait is not None else float("inf")
    check = spoken + CHECKED * random.uniform(0.8, 1)  # noqa: S311  # so that not all are looked at together
    while not here.is_closed and clock() < ends:
        due = min(spoken + silence, check, ends)
        step = await topic.next_for(cursor, due)
        if held.is_doubted or clock() >= check:
            if not await _may(reader, held):
                return
            check = clock() + CHECKED
        if step and step.tells:
            yield await topic.text_of(step, (reader.key, way.encoding), partial(_encode, way.make, reader.render))
            spoken = clock()
        elif clock() >= spoken + silence:
            yield way.make(format_event("heartbeat", "{}", cursor) if reader.heartbeat else b": heartbeat\n\n")
            spoken = clock()
        if step:
            cursor = step.after
            if cursor.ended:
                return


def _encode(make: Callable[[bytes], object], render: Renderer, step: Step) -> object:
    return make(render(step))


async def _may(reader: Reader, held: Held) -> bool:
    """Return whether the reader still may read. If the database does not answer, the doubt stays and the next check
    repeats it."""
    held.is_doubted = False
    try:
        return await in_thread(reader.may_still)
    except Error:
        held.is_doubted = True
        return True


def format_events(
    step: Step,
    *,
    lines: Callable[[Step], str],
    node: Callable[[NodeExecution], object],
    run: Callable[[WorkflowExecution], object],
) -> bytes:
    """The events of a step as text; `lines` gives its data in JSON. They come first and move the cursor by themselves:
    where the connection is cut between two events, a state may be sent twice, a line is not."""
    events = [format_event("logs", lines(step), step.after_lines)] if step.lines else []
    states = [("node", node(row)) for row in step.nodes]
    states += [("execution", run(row)) for row in (*step.runs, *([step.run] if step.run else []))]
    states += [("deleted", {"id": str(gone.run)}) for gone in step.deleted]
    if step.end:
        states.append(("end", {"id": str(step.end.pk), "status": step.end.status, "attempt": step.end.attempt}))
    for place, (kind, data) in enumerate(states, 1):
        events.append(format_event(kind, as_json(data), step.after if place == len(states) else step.after_lines))
    return b"".join(events)


def format_event(kind: str, text: str, cursor: Cursor) -> bytes:
    return f"event: {kind}\nid: {cursor}\ndata: {text}\n\n".encode()


as_json = partial(json.dumps, cls=DjangoJSONEncoder, ensure_ascii=False, separators=(",", ":"))
