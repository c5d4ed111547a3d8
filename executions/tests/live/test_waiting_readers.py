"""Waiting readers are woken in turns, each no later than the time it has set."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from executions.live.waiting_readers import BATCH, WaitingReaders


def run_scene(scene: Callable[[WaitingReaders], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        await scene(WaitingReaders(asyncio.get_running_loop()))

    asyncio.run(whole())


def test_news_reach_a_few_at_once_and_all_of_them_in_turns() -> None:
    async def scene(audience: WaitingReaders) -> None:
        waiters = [audience.wait(float("inf")) for _ in range(3 * BATCH)]
        audience.wake_all(0.03)
        assert [waiter.done() for waiter in waiters] == [True] * BATCH + [False] * 2 * BATCH
        await asyncio.wait_for(asyncio.gather(*waiters), 5)

    run_scene(scene)


def test_silence_is_over_for_each_at_the_time_it_asked_for_by_one_timer() -> None:
    async def scene(audience: WaitingReaders) -> None:
        now = asyncio.get_running_loop().time()
        late, soon, never = (audience.wait(now + wait) for wait in (0.2, 0.01, float("inf")))
        await asyncio.wait_for(soon, 5)
        assert (late.done(), never.done()) == (False, False)
        await asyncio.wait_for(late, 5)
        assert not never.done()
        assert audience.timer is None

    run_scene(scene)


def test_who_hung_up_meanwhile_is_passed_over() -> None:
    async def scene(audience: WaitingReaders) -> None:
        gone, there = (audience.wait(asyncio.get_running_loop().time() + 0.01) for _ in range(2))
        gone.cancel()
        await asyncio.wait_for(there, 5)
        audience.stop()

    run_scene(scene)
