"""The handler of requests: which thread works, and what a disconnect does to a page, to a stream and to a body."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from ledgerkit.rate_limited_logging import NEVER
from pastetrader import threaded_handler
from pastetrader.threaded_handler import ThreadedHandler

BODY = {"type": "http.request", "body": b"", "more_body": False}
HALF = {"type": "http.request", "body": b"a", "more_body": True}
DISCONNECT = {"type": "http.disconnect"}
seen: dict[str, Any] = {}


def page(request: HttpRequest) -> HttpResponse:
    seen.setdefault("threads", []).append(threading.current_thread())
    return HttpResponse("x" * 100_000)


def slow_page(request: HttpRequest) -> HttpResponse:
    seen["begun"] = seen.get("begun", 0) + 1
    seen["may_end"].wait(10)
    seen["ended"] = True
    return HttpResponse("late")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        try:
            seen["streaming"] = 1
            yield b"first"
            await asyncio.sleep(60)
        finally:
            seen["ended"] = True

    return StreamingHttpResponse(parts())


def broken_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        raise LookupError

    return StreamingHttpResponse(parts())


urlpatterns = [path(f"{view.__name__}/", view) for view in (page, slow_page, stream, broken_stream)]


@pytest.fixture(autouse=True)
def fresh(settings: Any) -> Iterator[None]:
    settings.ROOT_URLCONF, settings.MIDDLEWARE = __name__, []
    seen.clear()
    seen["may_end"] = threading.Event()
    request_finished.connect(count_finished)
    yield
    request_finished.disconnect(count_finished)


def count_finished(**_: object) -> None:
    seen["finished"] = seen.get("finished", 0) + 1


async def wait_until_seen(name: str, times: int = 1) -> None:
    async with asyncio.timeout(10):
        while seen.get(name, 0) < times:  # noqa: ASYNC110  # views count in threads and in other loops
            await asyncio.sleep(0.01)


async def ask(
    handler: ThreadedHandler, view: str, *messages: dict[str, Any], headers: Sequence[tuple[bytes, bytes]] = ()
) -> list[dict[str, Any]]:
    """Return what is sent to a client who sends these messages; after the last one, nothing comes any more."""
    waiting, sent = [*messages], []

    async def receive() -> Any:
        if not waiting:
            await asyncio.sleep(60)
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": f"/{view}/", "query_string": b"", "headers": headers}
    async with asyncio.timeout(10):
        await handler(scope, receive, send)
    return sent


def test_requests_that_follow_each_other_have_the_same_thread() -> None:
    async def play() -> None:
        handler = ThreadedHandler()
        slow = [asyncio.ensure_future(ask(handler, "slow_page", BODY)) for _ in range(3)]
        await wait_until_seen("begun", 3)
        seen["may_end"].set()
        await asyncio.gather(*slow)
        for _ in range(20):
            sent = await ask(handler, "page", BODY)
            assert b"".join(each.get("body", b"") for each in sent) == b"x" * 100_000
        assert len(set(seen["threads"])) == 1, "also where several are idle"

    asyncio.run(play())
    assert (len(seen["threads"]), seen["finished"]) == (20, 23)


def test_a_body_that_has_come_is_read_without_a_timer(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each timer wakes the event loop once more, just when the thread begins to work."""
    settings.TIMEOUT_BODY = 45
    timers: list[float] = []

    async def play() -> None:
        loop = asyncio.get_running_loop()
        call_at = loop.call_at

        def count(when: float, *more: Any, **options: Any) -> asyncio.TimerHandle:
            timers.append(when - loop.time())
            return call_at(when, *more, **options)

        monkeypatch.setattr(loop, "call_at", count)
        await ask(ThreadedHandler(), "page", HALF, BODY)

    asyncio.run(play())
    assert max(timers) < 40, "the ten seconds of this test alone"


def test_a_slow_page_keeps_nobody_waiting() -> None:
    async def play() -> None:
        handler = ThreadedHandler()
        slow = asyncio.ensure_future(ask(handler, "slow_page", BODY))
        await wait_until_seen("begun")
        await ask(handler, "page", BODY)
        assert not slow.done()
        seen["may_end"].set()
        await slow

    asyncio.run(play())


def test_a_page_is_finished_though_its_client_has_gone() -> None:
    async def play() -> None:
        slow = asyncio.ensure_future(ask(ThreadedHandler(), "slow_page", BODY, DISCONNECT))
        await wait_until_seen("begun")
        await asyncio.sleep(0.05)  # in which the disconnect is read
        seen["may_end"].set()
        await slow

    asyncio.run(play())
    assert (seen["ended"], seen["finished"]) == (True, 1)


def test_a_stream_ends_with_its_client() -> None:
    sent = asyncio.run(ask(ThreadedHandler(), "stream", BODY, DISCONNECT))
    assert sent[1]["body"] == b"first"
    assert (seen["ended"], seen["finished"]) == (True, 1)


def test_a_stream_ends_with_its_server() -> None:
    async def play() -> None:
        streaming = asyncio.ensure_future(ask(ThreadedHandler(), "stream", BODY))
        await wait_until_seen("streaming")
        streaming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await streaming

    asyncio.run(play())
    assert (seen["ended"], seen["finished"]) == (True, 1)


def test_what_breaks_a_stream_is_raised() -> None:
    with pytest.raises(LookupError):
        asyncio.run(ask(ThreadedHandler(), "broken_stream", BODY))
    assert seen["finished"] == 1


def test_a_body_that_is_cut_off_reaches_no_view_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threaded_handler.log_broken_connection, "last", NEVER)
    assert asyncio.run(ask(ThreadedHandler(), "page", HALF, DISCONNECT)) == []
    assert "threads" not in seen
    [line] = [record.getMessage() for record in caplog.records]
    assert line == "A connection broke, or a client closed it, before its request was worked on: GET /page/."


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("x\n2026-11-30 02:00:00 ERROR executions: all lost\x1b[2J", "/***masked***/"),
        ("reset/hunter2/more/words", "/***masked***/***masked***/***masked***"),
        ("page/x y\r\nz/비밀", "/page/***masked***/***masked***"),
    ],
)
def test_no_client_writes_lines_into_the_log(
    path: str, shown: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threaded_handler.log_broken_connection, "last", NEVER)
    asyncio.run(ask(ThreadedHandler(), path, HALF, DISCONNECT))
    [line] = caplog.messages
    assert line.endswith(f"worked on: GET {shown}.")


def test_a_request_waits_for_a_thread_as_long_as_its_client_does_and_one_more_is_503(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.POOL = settings.POOL | {"max_size": 1}
    monkeypatch.setattr(threaded_handler, "THREADS", 1)
    monkeypatch.setattr(threaded_handler, "LEAST", 1)
    monkeypatch.setattr(threaded_handler, "QUEUE", 2)

    async def play() -> list[list[Any]]:
        handler = ThreadedHandler()
        asked = []
        for messages in [BODY, DISCONNECT], [BODY], [BODY, DISCONNECT], [BODY], [BODY]:
            asked.append(asyncio.ensure_future(ask(handler, "slow_page", *messages)))
            await asyncio.sleep(0.02)
        seen["may_end"].set()
        sent = [await each for each in asked]
        assert not handler.small.under_way
        return sent

    _working, waiting, left, more, refused = asyncio.run(play())
    assert (waiting[0]["status"], left, more[0]["status"]) == (200, [], 200), "whoever left made room for another"
    assert (refused[0]["status"], dict(refused[0]["headers"])[b"retry-after"]) == (503, b"5")
    assert b"try again" in refused[1]["body"]
    assert (seen["begun"], seen["finished"]) == (3, 3), "nothing was done for one who had left"


@pytest.mark.parametrize(
    "large", [{"body": b"x" * 20_000}, {"body": b"x", "headers": [(b"content-encoding", b"gzip")]}]
)
def test_few_requests_with_large_bodies_are_worked_on_at_once(settings: Any, large: dict[str, Any]) -> None:
    settings.POOL = settings.POOL | {"max_size": 4}

    async def play() -> None:
        handler = ThreadedHandler()
        headers = large.get("headers", [])
        body = BODY | {"body": large["body"]}
        asked = [asyncio.ensure_future(ask(handler, "slow_page", body, headers=headers)) for _ in range(5)]
        await wait_until_seen("begun", 2)
        await asyncio.sleep(0.05)  # in which a third one would begin
        assert seen["begun"] == 2, "half as many as the pool has connections"
        await ask(handler, "page", BODY)
        assert not any(each.done() for each in asked)
        seen["may_end"].set()
        for each in asked:
            assert (await each)[0]["status"] == 200

    asyncio.run(play())
