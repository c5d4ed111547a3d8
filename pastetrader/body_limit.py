"""Limits on a request's body: its size, and the time that it may take."""

import asyncio
import json
import logging
from typing import Any

from ledgerkit.rare_logging import RateLimitedLogger
from ledgerkit.rest.prefix import is_api

LENGTH = b"content-length"
LATE = "The body took too long to arrive: send it at once, in several calls if it is large."
late = RateLimitedLogger(logging.getLogger(__name__), "A body did not arrive within %s seconds: %s %s.")


class TooSlow(Exception):
    pass


class BoundedBodies:
    """Django keeps a whole body, on disk where it is long, before anybody looks at its size; and of one that comes in
    chunks it does not know the size at all. Here a body of more than `most` bytes is dropped, and what is known of its
    size is told to Django, which says 413 to whoever reads it.

    A body that has not arrived within `seconds` is 408. That of a call of the API by nobody is not waited for: it is
    401 whatever it holds."""

    def __init__(self, app: Any, most: int, seconds: float) -> None:
        self.app, self.most, self.seconds = app, most, seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = Body(scope, receive, self.most, asyncio.get_running_loop().time() + self.seconds)
        try:
            await self.app(scope, body.receive, send)
        except TooSlow:
            late(self.seconds, scope["method"], _place(scope))
            for message in too_slow(scope["path"]):
                await send(message)


def too_slow(path: str) -> list[dict[str, Any]]:
    """The messages of a 408, after which the server hangs up."""
    kind, content = b"text/plain; charset=utf-8", f"{LATE}\n"
    if is_api(path):
        said = {"type": "urn:pastetrader:problem:too_slow", "title": "Request Timeout", "status": 408}
        kind, content = b"application/problem+json", json.dumps(said | {"detail": LATE, "code": "too_slow"})
    headers = [(b"content-type", kind), (b"cache-control", b"private, no-store"), (b"connection", b"close")]
    headers.append((LENGTH, str(len(content)).encode()))
    return [
        {"type": "http.response.start", "status": 408, "headers": headers},
        {"type": "http.response.body", "body": content.encode()},
    ]


def _place(scope: Any) -> str:
    """The first parts of the address: what follows may be anything."""
    return "/".join(scope["path"].split("/")[:4])


class Body:
    """`deadline` is the loop's time by which it has to be there."""

    def __init__(self, scope: Any, receive: Any, most: int, deadline: float) -> None:
        self.scope, self.next, self.most, self.deadline = scope, receive, most, deadline
        self.size, self.dropped, self.is_whole = 0, False, False

    async def receive(self) -> Any:
        """An ASGI message. Raises TooSlow."""
        if self.dropped:
            return await self._end()
        if self._declared_length() > self.most or self._is_nobodys():
            return self._drop()
        message = await self._in_time()
        if message["type"] == "http.request":
            self.is_whole = not message.get("more_body", False)
            self.size += len(message.get("body", b""))
            if self.size > self.most:
                return self._drop()
            if self.is_whole:
                self._tell()
        return message

    async def _in_time(self) -> Any:
        """The next message. Once the body is whole, only that the caller has gone is waited for."""
        try:
            async with asyncio.timeout_at(None if self.is_whole else self.deadline):
                return await self.next()
        except TimeoutError:
            raise TooSlow from None

    def _is_nobodys(self) -> bool:
        names = {name for name, _value in self.scope["headers"]}
        return is_api(self.scope["path"]) and not names & {b"authorization", b"cookie"}

    def _drop(self) -> Any:
        self.dropped = True
        self._tell()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _end(self) -> Any:
        """Receive the rest, and then the disconnect, for which Django waits."""
        while (message := await self.next())["type"] == "http.request":
            pass
        return message

    def _tell(self) -> None:
        if self.size and not any(name == LENGTH for name, _value in self.scope["headers"]):
            self.scope["headers"] = [*self.scope["headers"], (LENGTH, str(self.size).encode())]

    def _declared_length(self) -> int:
        """0 where it is not said, or is no number."""
        said = next((value for name, value in self.scope["headers"] if name == LENGTH), b"")
        return int(said) if said.isdigit() and len(said) < 20 else 0
