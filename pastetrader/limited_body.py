"""Limit on the size of a request's body, before Django stores it."""

from typing import Any

from ledgerkit.rest.api_prefix import is_api
from pastetrader.path_prefix import path_info

LENGTH, CODING = b"content-length", b"transfer-encoding"
CREDENTIALS = {b"authorization", b"cookie"}


class LimitedBody:
    """The body of one request: `receive` returns its ASGI messages. One of more than `most` bytes is dropped and its
    size passed on, so that Django responds 413. A body whose length the client has given is not measured: the HTTP
    server takes no more of it.

    Django itself stores a whole body, on disk where it is long, before its size is checked, and does not know the size
    of a chunked one. The body of an API request without credentials is not awaited: the response is 401 whatever it
    contains.
    """

    def __init__(self, scope: Any, receive: Any, most: int) -> None:
        self.scope, self.next, self.most = scope, receive, most
        self.is_dropped = False
        self.headers = dict(scope["headers"])
        length = self.headers.get(LENGTH, b"")
        has_length = length.isdigit() and CODING not in self.headers
        size = int(length[:20]) if has_length else 0
        is_anonymous = self.headers.keys().isdisjoint(CREDENTIALS) and is_api(path_info(scope))
        self.is_refused = size > most or is_anonymous
        self.size = 0 if self.is_refused else size  # bytes that are taken; of a chunked body, those that have come
        self.receive = receive if has_length and not self.is_refused else self._receive

    async def _receive(self) -> Any:
        if self.is_dropped:
            return await self._end()
        if self.is_refused:
            return self._drop()
        message = await self.next()
        if message["type"] == "http.request":
            self.size += len(message.get("body", b""))
            if self.size > self.most:
                return self._drop()
            if self.size and not message.get("more_body", False):
                self._pass_size_on()
        return message

    def _drop(self) -> Any:
        self.is_dropped = True
        self._pass_size_on()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _end(self) -> Any:
        """Receive the rest, and then the disconnect, for which Django waits."""
        while (message := await self.next())["type"] == "http.request":
            pass
        return message

    def _pass_size_on(self) -> None:
        if self.size and LENGTH not in self.headers:
            self.scope["headers"] = [*self.scope["headers"], (LENGTH, str(self.size).encode())]
