"""How much of a request's body the server takes in."""

from typing import Any

LENGTH = b"content-length"


class BoundedBodies:
    """Django keeps a whole body, on disk where it is long, before anybody looks at its size; and of one that comes in
    chunks it does not know the size at all. Here a body of more than `most` bytes is dropped, and what is known of its
    size is told to Django, which says 413 to whoever reads it."""

    def __init__(self, app: Any, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            receive = Body(scope, receive, self.most).receive
        await self.app(scope, receive, send)


class Body:
    def __init__(self, scope: Any, receive: Any, most: int) -> None:
        self.scope, self.next, self.most = scope, receive, most
        self.size, self.dropped = 0, False

    async def receive(self) -> Any:
        """An ASGI message."""
        if self.dropped:
            return await self._end()
        if self._declared() > self.most:
            return self._drop()
        message = await self.next()
        if message["type"] == "http.request":
            self.size += len(message.get("body", b""))
            if self.size > self.most:
                return self._drop()
            if not message.get("more_body", False):
                self._tell()
        return message

    def _drop(self) -> Any:
        self.dropped = True
        self._tell()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _end(self) -> Any:
        """Whatever else is sent; then that the caller has gone, for which Django waits."""
        while (message := await self.next())["type"] == "http.request":
            pass
        return message

    def _tell(self) -> None:
        if self.size and not any(name == LENGTH for name, _value in self.scope["headers"]):
            self.scope["headers"] = [*self.scope["headers"], (LENGTH, str(self.size).encode())]

    def _declared(self) -> int:
        """0 where it is not said, or is no number."""
        said = next((value for name, value in self.scope["headers"] if name == LENGTH), b"")
        return int(said) if said.isdigit() and len(said) < 20 else 0
