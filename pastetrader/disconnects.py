"""Let a view finish after the client disconnects; nobody receives its response.

Django cancels the request instead, while the view's thread goes on: its database connection is never returned to the
pool, which is empty after as many disconnects as it has connections.
"""

import asyncio
from typing import Any


class CompleteResponseMiddleware:
    """ASGI middleware that passes a disconnect on once the response has begun, as a streaming response needs it."""

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
        """Return the next message. A disconnect within the body is passed on at once: no view runs yet."""
        message = await self._receive()
        if message["type"] == "http.disconnect" and self.is_whole:
            await self.begun.wait()
        self.is_whole = message["type"] == "http.request" and not message.get("more_body", False)
        return message

    async def send(self, message: Any) -> None:
        await self._send(message)
        self.begun.set()
