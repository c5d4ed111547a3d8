"""Django's ASGI handler, with the synchronous part of a request in one call of a thread that stays.

Django's own starts a thread for each request and goes back to the event loop wherever synchronous and asynchronous
middleware alternate: 30 % of the processor time of a transition (docs/decisions.md).
"""

import asyncio
import logging
from contextlib import closing
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.db import close_old_connections
from django.urls import set_script_prefix

from ledgerkit.rate_limited_logging import RateLimitedLogger
from ledgerkit.rest.charset import CONTENT_TYPE, with_normalized_content_type
from pastetrader.asgi_errors import Refusal
from pastetrader.health import ALIVE, health_response, is_health_probe
from pastetrader.limited_body import LimitedBody
from pastetrader.log_format import clear_path
from pastetrader.path_prefix import path_info, with_prefix
from pastetrader.request_threads import QueueFull, QueueLeft, RequestThreads

THREADS = 3  # for each connection of the pool: some wait for one, or for a login's turn
LEAST = 16  # threads
QUEUE = 1_000  # requests that may wait for a thread
LARGE_QUEUE = 100  # the same of those with a large body, of which 2.5 MB may be in memory
LARGE = 16_384  # bytes of a body
ENCODING = b"content-encoding"
RETRY_AFTER = b"5"
LATE = "The body took too long to arrive: send it at once, in several calls if it is large."
BUSY = "The server works on as many requests as it can: try again in a few seconds."

logger = logging.getLogger(__name__)
log_late_body = RateLimitedLogger(logger, "A body did not arrive within %s seconds: %s %s.")
log_broken_connection = RateLimitedLogger(
    logger, "A connection broke, or a client closed it, before its request was worked on: %s %s."
)
log_refused_request = RateLimitedLogger(
    logger, "A request was refused: %s are under way, some of clients that have left."
)


class ThreadedHandler(ASGIHandler):
    """A view always finishes, even if its client disconnects: its connection returns to the pool. A streaming response
    ends when its client does.

    A request waits for a thread as long as its client does: one that sends many and leaves has no more than these
    worked on. With a thread for each connection, 3,000 requests for a list, sent in a second by a client that left,
    took the server 25 seconds. Requests with large bodies have few threads, fewer than there are connections to the
    database, so that they cannot hold all of these: nine graphs of 1,000 nodes at once kept everybody waiting for ten
    seconds."""

    def __init__(self) -> None:
        BaseHandler.__init__(self)  # not ASGIHandler's, which loads the middleware as coroutines
        self.load_middleware()
        connections = settings.POOL["max_size"]
        self.small = RequestThreads(max(LEAST, THREADS * connections), QUEUE, "request")
        self.large = RequestThreads(max(1, connections // 2), LARGE_QUEUE, "large-request")

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            # It needs no thread: all may wait for PostgreSQL.
            if scope["path"].endswith(ALIVE) and is_health_probe(scope, scope["headers"]):
                await self.send_response(health_response(), send)
                return
            if settings.FORCE_SCRIPT_NAME or settings.TRUST_FORWARDED_PREFIX:
                scope = with_prefix(scope, scope["headers"])
            body = LimitedBody(scope, receive, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            response = await self._response(scope, body)
        except Refusal as refusal:
            for message in refusal.messages:
                await send(message)
        except (RequestAborted, QueueLeft):
            log_broken_connection(scope["method"], _start_of_path(scope))
        except asyncio.CancelledError:  # the server stops before a slow client has sent its body, or during the work
            logger.warning("A request was not finished when the server stopped: %s", scope["method"])
        else:
            await (self._stream(response, body, send) if response.streaming else self.send_response(response, send))

    async def _response(self, scope: Any, body: LimitedBody) -> Any:
        """Read the body and have a thread respond. Raises Refusal, RequestAborted, QueueLeft."""
        try:
            # At once where the body has come with the headers: a time limit would wake the event loop once more.
            reading = asyncio.Task(self.read_body(body.receive), loop=asyncio.get_running_loop(), eager_start=True)
            file = reading.result() if reading.done() else await asyncio.wait_for(reading, settings.TIMEOUT_BODY)
        except TimeoutError:
            raise _too_slow(scope) from None
        if any(name == CONTENT_TYPE and b";" in value for name, value in scope["headers"]):  # it may name a charset
            scope = with_normalized_content_type(scope)
        is_large = body.size > LARGE or ENCODING in body.headers
        threads = self.large if is_large else self.small
        try:
            return await threads.call(self._respond, scope, file, leaves=body.receive)
        except QueueLeft:
            file.close()
            raise
        except QueueFull:
            file.close()
            raise _busy(scope, threads) from None

    def stop(self) -> bool:
        """Drop the requests that wait, and end the threads. Return whether some still work."""
        return self.small.stop() | self.large.stop()

    def _respond(self, scope: Any, body: Any) -> Any:
        """Return the response. It is closed before it is sent, since its content is in memory; one that streams is not,
        but holds no connection either."""
        with closing(body):
            set_script_prefix(get_script_prefix(scope))
            signals.request_started.send(sender=type(self), scope=scope)
            request, refusal = self.create_request(scope, body)
            response: Any = refusal if request is None else self.get_response(request)
            if response.streaming:
                close_old_connections()
            else:
                response.close()
            return response

    async def _stream(self, response: Any, body: LimitedBody, send: Any) -> None:
        sending = asyncio.create_task(self.send_response(response, send))
        leaving = asyncio.create_task(body.receive())  # ends with a disconnect: the body has been read
        leaving.add_done_callback(lambda _leaving: sending.cancel())
        try:
            await sending
        except asyncio.CancelledError:
            if not leaving.done():  # it is the server that stops
                raise
        finally:
            leaving.cancel()
            await self.small.call(response.close)


def _too_slow(scope: Any) -> Refusal:
    """Return the response, after which the server closes the connection."""
    log_late_body(settings.TIMEOUT_BODY, scope["method"], _start_of_path(scope))
    return Refusal(path_info(scope), 408, "too_slow", LATE, (b"connection", b"close"))


def _start_of_path(scope: Any) -> str:
    """Return the first three parts of the path for the log, masked as in other lines. They are quoted: with line feeds
    in them, a client would write lines of its own."""
    return clear_path(quote("/".join(path_info(scope).split("/")[:4])))


def _busy(scope: Any, threads: RequestThreads) -> Refusal:
    log_refused_request(len(threads.under_way))
    return Refusal(path_info(scope), 503, "busy", BUSY, (b"retry-after", RETRY_AFTER))
