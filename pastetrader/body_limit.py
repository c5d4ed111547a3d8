"""Limits on a request's body: its size, and the time that it may take."""

import asyncio
import logging
from typing import Any

from ledgerkit.rate_limited_logging import RateLimitedLogger
from ledgerkit.rest.api_prefix import is_api
from pastetrader.asgi_refusals import refusal

LENGTH = b"content-length"
CREDENTIALS = {b"authorization", b"cookie"}
LATE = "The body took too long to arrive: send it at once, in several calls if it is large."
late = RateLimitedLogger(logging.getLogger(__name__), "A body did not arrive within %s seconds: %s %s.")


class BodyTimeout(Exception):
    pass


class BodyLimitMiddleware:
    """ASGI middleware that drops a body of more than `most` bytes and passes its size on, so that Django responds 413.

    Django itself stores a whole body, on disk where it is long, before its size is checked, and does not know the size
    of a chunked one. A body that has not arrived within `seconds` is 408. The body of an API request without
    credentials is not awaited: the response is 401 whatever it contains."""

    def __init__(self, app: Any, most: int, seconds: float) -> None:
        self.app, self.most, self.seconds = app, most, seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = Body(scope, receive, self.most, asyncio.get_running_loop().time() + self.seconds)
        try:
            await self.app(scope, body.receive, send)
        except BodyTimeout:
            late(self.seconds, scope["method"], _place(scope))
            for message in refusal(scope["path"], 408, "too_slow", LATE, (b"connection", b"close")):
                await send(message)  # the server closes the connection after it


def _place(scope: Any) -> str:
    """Return the first parts of the path; later parts may contain anything."""
    return "/".join(scope["path"].split("/")[:4])


class Body:
    """The body of one request. `deadline` is a time of the event loop."""

    def __init__(self, scope: Any, receive: Any, most: int, deadline: float) -> None:
        self.scope, self.next, self.most, self.deadline = scope, receive, most, deadline
        self.size, self.dropped, self.is_complete = 0, False, False
        headers = dict(scope["headers"])
        self.has_length = LENGTH in headers
        is_anonymous = headers.keys().isdisjoint(CREDENTIALS) and is_api(scope["path"])
        self.is_refused = is_anonymous or _declared_length(headers) > most

    async def receive(self) -> Any:
        """Return the next ASGI message. Raises BodyTimeout."""
        if self.dropped:
            return await self._end()
        if self.is_refused:
            return self._drop()
        message = await self._receive_in_time()
        if message["type"] == "http.request":
            self.is_complete = not message.get("more_body", False)
            self.size += len(message.get("body", b""))
            if self.size > self.most:
                return self._drop()
            if self.is_complete and not self.has_length:
                self._pass_size_on()
        return message

    async def _receive_in_time(self) -> Any:
        """Return the next message. Once the body is complete, only a disconnect is awaited, without a deadline."""
        try:
            async with asyncio.timeout_at(None if self.is_complete else self.deadline):
                return await self.next()
        except TimeoutError:
            raise BodyTimeout from None

    def _drop(self) -> Any:
        self.dropped = True
        self._pass_size_on()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _end(self) -> Any:
        """Receive the rest, and then the disconnect, for which Django waits."""
        while (message := await self.next())["type"] == "http.request":
            pass
        return message

    def _pass_size_on(self) -> None:
        if self.size and not self.has_length:
            self.scope["headers"] = [*self.scope["headers"], (LENGTH, str(self.size).encode())]


def _declared_length(headers: dict[bytes, bytes]) -> int:
    """Return Content-Length, or 0 where it is missing or not a number."""
    length = headers.get(LENGTH, b"")
    return int(length) if length.isdigit() and len(length) < 20 else 0
