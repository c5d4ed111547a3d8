"""Threads that work on requests, without a server."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pastetrader.request_threads import QueueFull, RequestThreads


@pytest.fixture
def threads() -> Iterator[RequestThreads]:
    made = RequestThreads(2, 10, "tested")
    yield made
    made.stop()


@pytest.mark.parametrize("raised", [ValueError("no"), SystemExit(3)])
def test_what_a_function_raises_is_raised_and_its_thread_goes_on(
    threads: RequestThreads, raised: BaseException
) -> None:
    def fail() -> None:
        raise raised

    async def play() -> str:
        with pytest.raises(type(raised)):
            await threads.call(fail)
        return await threads.call(lambda: threading.current_thread().name)

    assert asyncio.run(play()) == "tested_1"


async def begin(threads: RequestThreads, number: int, may_end: threading.Event) -> list[asyncio.Task[Any]]:
    """Return as many calls, of which the threads work on two and the others wait."""
    calls = [asyncio.ensure_future(threads.call(may_end.wait, 10)) for _ in range(number)]
    while sum(future.running() for future in threads.under_way) < 2:  # noqa: ASYNC110  # threads set it
        await asyncio.sleep(0.01)
    return calls


def test_a_stop_drops_those_that_wait_and_says_whether_others_are_at_work(threads: RequestThreads) -> None:
    async def play() -> list[Any]:
        may_end = threading.Event()
        calls = await begin(threads, 12, may_end)
        assert threads.stop() is True
        may_end.set()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        with pytest.raises(QueueFull):
            await threads.call(print)
        return ended

    ended = asyncio.run(play())
    assert ended[:2] == [True, True]
    assert [type(each) for each in ended[2:]] == [asyncio.CancelledError] * 10
    assert threads.stop() is False
    until = time.monotonic() + 10
    while time.monotonic() < until and any(each.name.startswith("tested_") for each in threading.enumerate()):
        time.sleep(0.01)
    assert not [each.name for each in threading.enumerate() if each.name.startswith("tested_")]


def test_a_request_waits_where_the_system_starts_no_more_threads(
    threads: RequestThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> list[Any]:
        may_end = threading.Event()
        first = asyncio.ensure_future(threads.call(may_end.wait, 10))
        await asyncio.sleep(0)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            second = asyncio.ensure_future(threads.call(may_end.wait, 10))
            await asyncio.sleep(0)
        may_end.set()
        return await asyncio.wait_for(asyncio.gather(first, second), 10)

    assert asyncio.run(play()) == [True, True]
    assert (threads.started, threads.under_way) == (1, set())


def test_without_any_thread_a_request_fails_and_leaves_nothing_behind(
    threads: RequestThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError):
        asyncio.run(threads.call(print))
    assert (threads.started, threads.under_way, list(threads.waiting)) == (0, set(), [])


def refuse(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
