"""Runs and nodes that the ledger is asked about, in what order, and how many at once."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from pastetrader_client import run_watch
from pastetrader_client.ids import uuid7
from pastetrader_client.run_watch import RunWatch
from pastetrader_client.transport import Notice


def some_run() -> Any:
    return SimpleNamespace(id=uuid7(), attempt=1, is_cancelled=False)


def asked(of: RunWatch) -> list[str]:
    return [fact.node or fact.run for fact in of.due()]


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_watch, "MOST_POLLED", 2)


def test_a_call_asks_about_some_of_very_many_runs_and_the_next_about_others(few_at_once: None) -> None:
    of, runs = RunWatch(3600, None), [some_run() for _each in range(5)]
    for run in runs:
        of.note_fact("execution.start", run, None)
    for entry in of.entries.values():
        entry.last -= 7200
    of.note_answered({runs[0].id})
    found = [*asked(of), *asked(of)]
    assert found == [run.id for run in runs[1:]]


def test_a_call_asks_about_some_of_very_many_nodes_and_the_next_about_others(few_at_once: None) -> None:
    of, run = RunWatch(3600, None), some_run()
    nodes = [SimpleNamespace(id=uuid7(), run=run, attempt=1, run_token=None) for _each in range(4)]
    for node in nodes:
        of.note_fact("node.start", run, node)  # type: ignore[arg-type]  # a node in miniature
        node.watched_at -= 7200
    assert [*asked(of), *asked(of)] == [node.id for node in nodes]


def test_of_failed_runs_the_newest_are_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_watch, "MOST_FAILED", 2)
    of, runs = RunWatch(0.0, lambda *_retry: None), [some_run() for _each in range(4)]
    for run in runs:
        of.note_fact("execution.start", run, None)
    for run in runs[:3]:
        of.note_fact("execution.fail", run, None)
    of.notice(Notice(runs[3].id, "end", 1, status="failed"))
    time.sleep(0.001)
    assert sorted(asked(of)) == sorted(run.id for run in runs[2:])
