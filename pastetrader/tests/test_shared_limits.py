"""Limits hold over all processes of a server: what two of them count at the same moment is counted twice."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import caches

from ledgerkit import shared_counts
from pastetrader import sqlite_cache
from pastetrader.tests.forks import exit_code, fork
from tokens import failed_attempts
from tokens.failed_attempts import Attempt, Counter
from tokens.throttling import CallerThrottle

PROCESSES, THREADS, TRIES = 2, 4, 40


@pytest.fixture
def shared_cache(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sqlite_cache, "WAIT", 60.0)  # a busy machine may let one process wait for a second
    path = str(tmp_path / "counts.sqlite3")
    settings.CACHES = settings.CACHES | {
        "failures": {"BACKEND": "pastetrader.sqlite_cache.SQLiteCache", "LOCATION": path}
    }
    settings.TOKENS = settings.TOKENS | {"THROTTLE_WRITE": "30/min", "LOGINS_AT_ONCE": 2, "CACHE": "failures"}
    caches["failures"].clear()
    sqlite_cache._databases.pop(path).close()  # each process opens its own
    yield
    if path in sqlite_cache._databases:
        sqlite_cache._databases.pop(path).close()


def in_processes(work: Callable[[], bool]) -> int:
    """Return how often the work succeeded in all threads of all processes."""

    def work_in_threads() -> int:
        with ThreadPoolExecutor(THREADS) as threads:
            return sum(threads.map(lambda _try: work(), range(TRIES)))

    children = [fork(work_in_threads) for _ in range(PROCESSES)]
    return sum(map(exit_code, children))


@pytest.mark.usefixtures("shared_cache")
def test_requests_of_one_caller() -> None:
    request: Any = SimpleNamespace(method="POST", auth=None, user=SimpleNamespace(pk=1))
    assert in_processes(lambda: CallerThrottle().allow_request(request, None)) == 30
    assert not CallerThrottle().allow_request(request, None)


@pytest.mark.usefixtures("shared_cache")
def test_wrong_passwords_that_are_tried_at_once() -> None:
    def attempt() -> Attempt:
        return Attempt("A login", [Counter.from_parts(most, 60, name) for name, most in (("a", 20), ("b", 7))])

    assert in_processes(lambda: attempt().count()) == 7
    attempt().take_back()
    assert attempt().count(), "refused attempts do not count"
    assert not attempt().count()


@pytest.mark.usefixtures("shared_cache")
def test_passwords_that_are_checked_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each holds its turn for ever: so many of all get one."""
    monkeypatch.setattr(failed_attempts, "PATIENCE", 0.05)
    monkeypatch.setattr(failed_attempts, "_checked", shared_counts.SharedCounts())
    monkeypatch.setattr(shared_counts, "_all", [failed_attempts._checked])
    monkeypatch.setattr(shared_counts, "_between_processes", None)
    shared_counts.share_among(1)
    held = []

    def take_and_hold() -> bool:
        held.append(failed_attempts.take_turn())
        return held[-1].__enter__()

    assert in_processes(take_and_hold) == 2
