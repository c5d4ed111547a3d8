"""Django's ASGI handler, with the synchronous part of a request in one call of a thread that stays.

Django's own starts a thread for each request and goes back to the event loop wherever synchronous and asynchronous
middleware alternate: 30 % of the processor time of a transition (docs/decisions.md).
"""

import asyncio
import logging
from contextlib import closing
from os import SEEK_END
from typing import Any

from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.db import close_old_connections
from django.urls import set_script_prefix

from ledgerkit.rate_limited_logging import RateLimitedLogger
from pastetrader.asgi_refusals import refusal
from pastetrader.request_threads import QueueLeft, RequestThreads

THREADS = 3  # for each connection of the pool: some wait for one, or for a login's turn
LEAST = 16  # threads
QUEUE = 1_000  # requests that may wait for a thread
LARGE_QUEUE = 100  # the same of those with a large body, of which 2.5 MB may be in memory
LARGE = 16_384  # bytes of a body
RETRY_AFTER = b"5"
BUSY = "The server works on as many requests as it can: try again in a few seconds."

logger = logging.getLogger(__name__)
refused = RateLimitedLogger(logger, "A request was refused: %s are under way, some of clients that have left.")


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
            body = await self.read_body(receive)
        except RequestAborted:
            return
        except asyncio.CancelledError:  # the server stops before a slow client has sent its body
            _warn_of_stop(scope)
            return
        threads = self._threads_for(scope, body)
        if threads.is_full:
            body.close()
            refused(threads.under_way)
            for message in refusal(scope["path"], 503, "busy", BUSY, (b"retry-after", RETRY_AFTER)):
                await send(message)
            return
        try:
            response = await threads.call(self._respond, scope, body, leaves=receive)
        except QueueLeft:
            body.close()
            return
        except asyncio.CancelledError:  # the server stops; the client was disconnected
            _warn_of_stop(scope)
            return
        if response.streaming:
            await self._stream(response, receive, send)
        else:
            await self.send_response(response, send)

    def _threads_for(self, scope: Any, body: Any) -> RequestThreads:
        is_packed = any(name == b"content-encoding" for name, _value in scope["headers"])
        return self.large if is_packed or _size(body) > LARGE else self.small

    def stop(self) -> bool:
        """Drop the requests that wait. Return whether threads still work, for which Python waits before it ends."""
        return self.small.stop() | self.large.stop()

    def _respond(self, scope: Any, body: Any) -> Any:
        """Return the response. It is closed before it is sent, since its content is in memory; one that streams is not,
        but holds no connection either."""
        with closing(body):
            set_script_prefix(get_script_prefix(scope))
            signals.request_started.send(sender=type(self), scope=scope)
            request, refusal = self.create_request(scope, body)
            response: Any = refusal if request is None else self.get_response(request)
            response._handler_class = type(self)  # which Django's handlers set for the signal request_finished
            if response.streaming:
                close_old_connections()
            else:
                response.close()
            return response

    async def _stream(self, response: Any, receive: Any, send: Any) -> None:
        sending = asyncio.create_task(self.send_response(response, send))
        leaving = asyncio.create_task(receive())  # ends with a disconnect: the body has been read
        leaving.add_done_callback(lambda _leaving: sending.cancel())
        try:
            await sending
        except asyncio.CancelledError:
            if not leaving.done():  # it is the server that stops
                raise
        finally:
            leaving.cancel()
            await self.small.call(response.close)


def _warn_of_stop(scope: Any) -> None:
    logger.warning("A request was not finished when the server stopped: %s", scope["method"])


def _size(body: Any) -> int:
    size: int = body.seek(0, SEEK_END)
    body.seek(0)
    return size
