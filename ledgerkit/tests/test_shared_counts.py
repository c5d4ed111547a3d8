"""Counts of processes that are forked from one."""

import os
from collections.abc import Callable, Iterator

import pytest

from ledgerkit import shared_counts
from ledgerkit.shared_counts import SharedCounts, become, share_among


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedCounts]:
    monkeypatch.setattr(shared_counts, "_all", [])
    yield SharedCounts()
    become(0)


def in_process(number: int, work: Callable[[], None]) -> None:
    """Count in a forked process that ends at once, as a killed worker does."""
    if not (child := os.fork()):
        become(number)
        work()
        os._exit(0)
    os.waitpid(child, 0)


def test_each_process_counts_for_all(counts: SharedCounts) -> None:
    share_among(3)
    for number in range(3):
        in_process(number, lambda: counts.add("a", 2))
    in_process(2, lambda: counts.add("b"))
    assert (counts.of("a"), counts.of("b"), counts.of("c"), counts.total()) == (4, 1, 0, 5)


def test_what_is_given_back_does_not_count(counts: SharedCounts) -> None:
    counts.add(7)
    counts.add(8)
    counts.add(7, -1)
    assert (counts.of(7), counts.of(8), counts.total()) == (0, 1, 1)
