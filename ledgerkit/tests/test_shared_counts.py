"""Counts of processes that are forked from one."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledgerkit import shared_counts
from ledgerkit.shared_counts import SharedCounts, become, exclusive, share_among


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedCounts]:
    monkeypatch.setattr(shared_counts, "_all", [])
    monkeypatch.setattr(shared_counts, "_between_processes", None)
    yield SharedCounts()
    become(0)


def in_process(number: int, work: Callable[[], object]) -> None:
    """Count in a forked process that ends at once, as a killed worker does."""
    os.waitpid(start_process(number, work), 0)


def start_process(number: int, work: Callable[[], object]) -> int:
    if not (child := os.fork()):
        become(number)
        work()
        os._exit(0)
    return child


def test_each_process_counts_for_all(counts: SharedCounts) -> None:
    share_among(3)
    for number in range(3):
        in_process(number, lambda: counts.add("a", 2))
    in_process(2, lambda: counts.add("b"))
    assert (counts.count_for("a"), counts.count_for("b"), counts.count_for("c"), counts.total()) == (4, 1, 0, 5)


def test_what_is_given_back_does_not_count(counts: SharedCounts) -> None:
    counts.add(7)
    counts.add(8)
    counts.add(7, -1)
    assert (counts.count_for(7), counts.count_for(8), counts.total()) == (0, 1, 1)


def test_of_several_processes_and_threads_only_one_gets_the_last_place(counts: SharedCounts) -> None:
    def take(_try: int = 0) -> None:
        with exclusive():
            if counts.total() < 5:
                time.sleep(0.01)  # in which another one could read the same count
                counts.add("a")

    def take_often() -> None:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(take, range(8)))

    share_among(3)
    for child in [start_process(number, take_often) for number in range(3)]:
        os.waitpid(child, 0)
    assert counts.count_for("a") == 5


def test_a_process_that_is_killed_leaves_no_lock_behind(counts: SharedCounts) -> None:
    def die() -> None:
        with exclusive():
            os._exit(1)

    share_among(2)
    in_process(1, die)
    with exclusive():
        counts.add("a")
    assert counts.count_for("a") == 1
