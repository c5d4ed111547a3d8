"""Requests to the site as its server hands them to Django: with headers of a proxy, through the whole middleware."""

import asyncio
from typing import Any

from pastetrader.threaded_handler import ThreadedHandler


def request_site(address: str, *headers: tuple[bytes, bytes]) -> list[dict[str, Any]]:
    """Return the ASGI messages that answer a GET request with these headers beside its host."""
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    all_headers = [(b"host", b"localhost"), *headers]
    scope = {"type": "http", "method": "GET", "path": address, "query_string": b"", "headers": all_headers}
    handler = ThreadedHandler()
    try:
        asyncio.run(asyncio.wait_for(handler(scope, receive, send), 10))
    finally:
        handler.stop()
    return sent
