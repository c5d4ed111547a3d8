"""Hand requests over to threads: `python -m benches.request_threads`, ours beside a ThreadPoolExecutor.

A client sends one request after the other; eight threads are idle, as they are where eight clients were at work before.
A request computes twice and sleeps in between, as one does that waits for the database. Counted are the times that a
thread gave up the processor to wait (Linux counts them), which does not depend on other work. The benchmark ends with
an error unless ours wait a fifth less often: then ThreadPoolExecutor would do.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from resource import RUSAGE_SELF, getrusage
from statistics import median
from typing import Any

import uvloop

from benches.output import out
from pastetrader.request_threads import RequestThreads

IDLE, CALLS, ROUNDS = 8, 1_000, 5
MOST = 0.8  # of the waits of a ThreadPoolExecutor

type Call = Callable[[Callable[[], object]], Any]


def request() -> None:
    sum(number * number for number in range(2_000))
    time.sleep(0.0001)
    sum(number * number for number in range(2_000))


async def measure(call: Call) -> tuple[float, float]:
    """Return the waits and the milliseconds of processor time of one call."""
    await asyncio.gather(*(call(partial(time.sleep, 0.05)) for _ in range(IDLE)))
    waits, began = getrusage(RUSAGE_SELF).ru_nvcsw, time.process_time()
    for _ in range(CALLS):
        await call(request)
    return (getrusage(RUSAGE_SELF).ru_nvcsw - waits) / CALLS, (time.process_time() - began) / CALLS * 1000


def main() -> None:
    sys.setswitchinterval(0.0005)  # as the server's
    ours, pool = RequestThreads(IDLE, 1_000, "ours"), ThreadPoolExecutor(IDLE)

    async def in_pool(function: Callable[[], object]) -> object:
        return await asyncio.wrap_future(pool.submit(function))

    async def in_turns() -> list[tuple[tuple[float, float], tuple[float, float]]]:
        return [(await measure(ours.call), await measure(in_pool)) for _ in range(ROUNDS)]

    rounds = uvloop.run(in_turns())
    ratio = median(mine[0] / its[0] for mine, its in rounds)
    for name, place in ("RequestThreads", 0), ("ThreadPoolExecutor", 1):
        waits, milliseconds = (median(each[place][number] for each in rounds) for number in (0, 1))
        out(f"{name:<20}{waits:>6.2f} waits and {milliseconds:.3f} ms of processor time for a call")
    out(f"waits, median ratio of {ROUNDS} rounds in turns: {ratio:.2f} (at most {MOST})")
    sys.exit(ratio > MOST)


if __name__ == "__main__":
    main()
