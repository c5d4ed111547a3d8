"""Functions as runs and nodes."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from .reporter import Reporter
from .runs import Run, current_run

if TYPE_CHECKING:
    from .client import Client

LOOK = 0.05  # seconds between two checks of a coroutine for its turn

type Open = Callable[[], Reporter | None]


def workflow[**P, R](
    client: "Client", name: str | None, options: Mapping[str, Any]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that makes each call of the function a run. If the function returns a dict, this is the
    output."""
    return lambda function: _wrap(function, lambda: client.run(workflow=name or function.__name__, **options))


def node[**P, R](name: str | None, options: Mapping[str, Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that makes each call of the function within a run a node. Outside of runs nothing is
    recorded."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        def open_node() -> Reporter | None:
            run = current_run()
            return None if run is None else run.node(name or function.__name__, **options)

        return _wrap(function, open_node)

    return decorate


def _wrap[**P, R](function: Callable[P, R], open_: Open) -> Callable[P, R]:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__name__} is a generator: use `with run.node(...)` inside it.")
    wrapped = _wrapped_async if inspect.iscoroutinefunction(function) else _wrapped_sync
    return wrapped(function, open_)


def _wrapped_sync[**P, R](function: Callable[P, R], open_: Open) -> Callable[P, R]:
    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        reporter = open_()
        if reporter is None:
            return function(*args, **kwargs)
        with reporter:
            result = function(*args, **kwargs)
            _keep(reporter, result)
            return result

    return call


def _wrapped_async[**P, R](function: Callable[P, R], open_: Open) -> Callable[P, R]:
    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        reporter = open_()
        if reporter is None:
            return await cast("Any", function(*args, **kwargs))
        if isinstance(reporter, Run) and reporter.is_queued:
            await _take_turn(reporter)
        with reporter:
            result = await cast("Any", function(*args, **kwargs))
            _keep(reporter, result)
            return result

    return cast("Callable[P, R]", call)


async def _take_turn(run: Run) -> None:
    """Wait for the turn of a queued run, while other coroutines run. It uses no thread: the loop has few, and the run
    ahead may need one to end."""
    with run.wait_for_turn() as turn:
        while not turn.has_come():  # noqa: ASYNC110  # another thread ends it
            await asyncio.sleep(LOOK)


def _keep(reporter: Reporter, result: object) -> None:
    if reporter.output is None and isinstance(result, dict):
        reporter.output = result
