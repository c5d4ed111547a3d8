"""Let a view finish after the client disconnects; nobody receives its response.

Django cancels the request instead. The thread of the view goes on all the same, but what it opened is known to it alone
by then: its database connection is never given back, and the pool is empty after as many as it has.
"""

import asyncio
from typing import Any


class PatientRequests:
    """An ASGI application that hears of a hang-up once its response has begun, as one that streams has to."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            request = _Request(receive, send)
            await self.app(scope, request.receive, request.send)
        else:
            await self.app(scope, receive, send)


class _Request:
    def __init__(self, receive: Any, send: Any) -> None:
        self._receive, self._send = receive, send
        self.is_whole = False
        self.begun = asyncio.Event()

    async def receive(self) -> Any:
        """A hang-up in the middle of the body is told at once: nothing is being made yet."""
        message = await self._receive()
        if message["type"] == "http.disconnect" and self.is_whole:
            await self.begun.wait()
        self.is_whole = message["type"] == "http.request" and not message.get("more_body", False)
        return message

    async def send(self, message: Any) -> None:
        await self._send(message)
        self.begun.set()
