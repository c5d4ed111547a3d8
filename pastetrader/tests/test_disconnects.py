"""Whoever hangs up: an application hears of it when it can do so without leaving something behind."""

import asyncio
from typing import Any

from pastetrader.disconnects import CompleteResponseMiddleware

WHOLE = {"type": "http.request", "body": b"", "more_body": False}
HALF = {"type": "http.request", "body": b"a", "more_body": True}
GONE = {"type": "http.disconnect"}
START = {"type": "http.response.start", "status": 200}


def heard(*messages: dict[str, Any], begins: bool) -> list[str]:
    """What an application hears of these messages; where it `begins`, it begins its response behind the first one."""
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in messages:
            told.append((await receive())["type"])
            if begins:
                await send(START)

    async def play() -> None:
        waiting = list(messages)

        async def receive() -> Any:
            return waiting.pop(0)

        async def send(message: Any) -> None:
            pass

        try:
            async with asyncio.timeout(0.2):
                await CompleteResponseMiddleware(app)({"type": "http"}, receive, send)
        except TimeoutError:
            told.append("waits")

    asyncio.run(play())
    return told


def test_a_page_that_is_being_made_is_not_interrupted() -> None:
    assert heard(WHOLE, GONE, begins=False) == ["http.request", "waits"]


def test_a_response_that_has_begun_hears_of_it() -> None:
    assert heard(WHOLE, GONE, begins=True) == ["http.request", "http.disconnect"]


def test_a_body_that_is_cut_off_is_told_at_once() -> None:
    assert heard(HALF, GONE, begins=False) == ["http.request", "http.disconnect"]
