"""A signal ends the process of upkeep although the statement that it cancels takes the connection with it."""

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError

from executions.upkeep import loop, runner
from executions.upkeep.task import Progress, Result, Task


@contextmanager
def reset_fails() -> Any:
    try:
        yield
    finally:
        raise OperationalError("the connection is lost")


def interrupted() -> None:
    with reset_fails():
        raise KeyboardInterrupt


def apply(_progress: Progress) -> Result:
    interrupted()
    return Result(rows=0)


@pytest.mark.django_db
def test_the_repetition_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop.connection, "close", lambda: None)
    slept: list[float] = []
    monkeypatch.setattr(loop.time, "sleep", slept.append)
    with pytest.raises(KeyboardInterrupt):
        loop.repeat(interrupted, 1)
    assert slept == []


@pytest.mark.django_db
def test_the_tasks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    second: Callable[..., Any] = lambda _progress: done.append("second") or Result(rows=0)  # noqa: E731  # shorter than a function
    tasks = (Task("first", "first", Result, apply), Task("second", "second", Result, second))
    monkeypatch.setattr(runner, "TASKS", tasks)
    with pytest.raises(KeyboardInterrupt):
        list(runner.run_all())
    assert done == []
