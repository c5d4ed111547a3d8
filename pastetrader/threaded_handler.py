"""Django's ASGI handler, with the synchronous part of a request in one call of a thread that stays.

Django's own starts a thread for each request and goes back to the event loop wherever synchronous and asynchronous
middleware alternate: 30 % of the processor time of a transition (docs/decisions.md).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from functools import partial
from typing import Any

from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.db import close_old_connections
from django.urls import set_script_prefix

UNLIMITED = 10_000  # threads where CONNECTIONS is 0


class ThreadedHandler(ASGIHandler):
    """A view always finishes, even if its client disconnects: its connection returns to the pool. A streaming response
    ends when its client does. There is a thread for each connection, so that nobody waits for slow views of others."""

    def __init__(self) -> None:
        BaseHandler.__init__(self)  # not ASGIHandler's, which loads the middleware as coroutines
        self.load_middleware()
        self.threads = ThreadPoolExecutor(settings.CONNECTIONS or UNLIMITED, thread_name_prefix="request")

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        response = await self._in_thread(self._respond, scope, body)
        if response.streaming:
            await self._stream(response, receive, send)
        else:
            await self.send_response(response, send)

    async def _in_thread[T](self, function: Callable[..., T], *args: object) -> T:
        """Call `function` in a thread. Context variables, such as the language, are of this call alone."""
        work = partial(copy_context().run, function, *args)
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

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
