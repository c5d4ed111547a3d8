"""Django's ASGI handler, with the synchronous part of a request in one call of a thread that stays.

Django's own starts a thread for each request and goes back to the event loop wherever synchronous and asynchronous
middleware alternate: 30 % of the processor time of a transition (docs/decisions.md).
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from threading import get_ident
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

UNLIMITED = 10_000  # threads where CONNECTIONS is 0
QUEUE = 100  # requests that may wait for a thread
RETRY_AFTER = b"5"
BUSY = "The server works on as many requests as it can: try again in a few seconds."

logger = logging.getLogger(__name__)
refused = RateLimitedLogger(logger, "A request was refused: %s are under way, some of clients that have left.")


class ThreadedHandler(ASGIHandler):
    """A view always finishes, even if its client disconnects: its connection returns to the pool. A streaming response
    ends when its client does.

    There is a thread for each connection, so that nobody waits for slow views of others. But views of clients that have
    left may keep all threads: a few requests wait for one then, as long as their clients do, and others are refused."""

    def __init__(self) -> None:
        BaseHandler.__init__(self)  # not ASGIHandler's, which loads the middleware as coroutines
        self.load_middleware()
        self.most = settings.CONNECTIONS or UNLIMITED
        self.threads = ThreadPoolExecutor(self.most, thread_name_prefix="request")
        self.under_way = 0  # requests in threads, or that wait for one
        self.working: set[int] = set()  # threads

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        if self.under_way >= self.most + QUEUE:
            body.close()
            refused(self.under_way)
            for message in refusal(scope["path"], 503, "busy", BUSY, (b"retry-after", RETRY_AFTER)):
                await send(message)
            return
        try:
            response = await self._in_thread(self._respond, scope, body, leaves=receive)
        except QueueLeft:
            body.close()
            return
        except asyncio.CancelledError:  # the server stops; the client was disconnected
            logger.warning("A request was not finished when the server stopped: %s", scope["method"])
            return
        if response.streaming:
            await self._stream(response, receive, send)
        else:
            await self.send_response(response, send)

    async def _in_thread[T](self, function: Callable[..., T], *args: object, leaves: Any = None) -> T:
        """Call `function` in a thread. Context variables, such as the language, are of this call alone. Raises
        QueueLeft if `leaves()` returns before there is a thread for it."""
        future = self.threads.submit(copy_context().run, self._work, function, *args)
        result = asyncio.wrap_future(future)
        self.under_way += 1
        try:
            if leaves is not None and self.under_way > self.most:
                await _wait_in_queue(future, result, leaves)
            return await result
        finally:
            self.under_way -= 1

    def _work[T](self, function: Callable[..., T], *args: object) -> T:
        self.working.add(get_ident())
        try:
            return function(*args)
        finally:
            self.working.discard(get_ident())

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
            await self._in_thread(response.close)


class QueueLeft(Exception):  # not an error: nobody waits for the response
    pass


async def _wait_in_queue(future: Future[Any], result: asyncio.Future[Any], leaves: Callable[[], Any]) -> None:
    """Wait for the result. Cancel the work if its client leaves before a thread has begun with it. Raises QueueLeft."""
    leaving = asyncio.ensure_future(leaves())
    await asyncio.wait([leaving, result], return_when=asyncio.FIRST_COMPLETED)
    if not leaving.done():
        leaving.cancel()
    elif future.cancel():
        raise QueueLeft
