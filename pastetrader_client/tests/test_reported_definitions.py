"""Definitions of workflows are reported before the runs that need them, once each, and seldom if they are refused."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from pastetrader_client import Client, definitions
from pastetrader_client.encoding import Draft
from pastetrader_client.transport import Answer, Contended, Refusal

A, B = (("a", "b"),), (("b", "c"),)


class Ledger:
    """A ledger that refuses each definition with a node of `refused`, and notes the kinds of facts and the nodes of
    definitions that it gets."""

    http = None

    def __init__(self) -> None:
        self.refused = ""
        self.code = "invalid"
        self.is_contended = False
        self.kinds: list[str] = []
        self.defined: list[str] = []

    def send(self, bodies: Sequence[bytes]) -> Answer:
        if self.is_contended:
            self.is_contended = False
            raise Contended("others change it")
        facts = [json.loads(body) for body in bodies]
        self.kinds += [fact["kind"] for fact in facts]
        nodes = [_nodes_of(fact) for fact in facts]
        self.defined += filter(None, nodes)
        return Answer([Refusal(n, self.code, "no") for n, each in enumerate(nodes) if {*self.refused} & {*each}])

    def define(self, workflow: str | None, run: str, nodes: Sequence[Mapping[str, object]]) -> bool:
        return True

    def read_run(self, run: str) -> Mapping[str, object]:
        raise LookupError(run)

    def close(self) -> None: ...

    def forget_connections(self) -> None: ...


def _nodes_of(fact: Mapping[str, Any]) -> str:
    return "".join(node["name"] for node in fact["workflow"]["nodes"]) if fact["kind"] == "workflow.ensure" else ""


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def engine(ledger: Ledger) -> Iterator[Client]:
    with Client(transport=ledger, spool=False, sigterm=False) as client:
        yield client


def add(engine: Client, *stages: tuple[tuple[str, ...], ...], workflow: str = "w") -> None:
    for each in stages:
        engine.add_stages(workflow, each)
    assert engine.flush()


class TestRefused:
    def test_a_refused_definition_is_not_reported_again_within_a_minute(self, engine: Client, ledger: Ledger) -> None:
        ledger.refused = "a"
        for _time in range(3):
            add(engine, A, B)
        assert ledger.defined == ["ab", "bc"]

    def test_after_that_it_is_reported_again_and_those_that_were_taken_are_not(
        self, engine: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(definitions, "AGAIN", 0.0)
        ledger.refused = "a"
        add(engine, A, B)
        ledger.refused = ""
        for _time in range(2):
            add(engine, A, B)
        assert ledger.defined == ["ab", "bc", "ab"]

    def test_of_the_refused_ones_of_a_workflow_one_a_minute_is_reported_again(
        self, engine: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(definitions, "AGAIN", 0.0)
        ledger.refused = "b"
        add(engine, A, B)
        monkeypatch.undo()
        for _time in range(2):
            add(engine, A, B)
        assert ledger.defined == ["ab", "bc", "ab"]

    def test_a_graph_that_was_declared_is_not_reported_again_either(self, engine: Client, ledger: Ledger) -> None:
        ledger.refused = "b"
        for _time in range(2):
            engine.run("w", graph=["a", "b"])
            engine.run("w", graph=("c", "d"))
            assert engine.flush()
        assert ledger.defined == ["ab", "cd"]

    def test_the_log_names_each_workflow_once(
        self, engine: Client, ledger: Ledger, caplog: pytest.LogCaptureFixture
    ) -> None:
        ledger.refused = "b"
        for workflow in ("one", "two", "two"):
            add(engine, A, B, workflow=workflow)
        lines = [f"the ledger refused workflow.ensure of workflow {name}: invalid: no" for name in ("one", "two")]
        assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == lines

    def test_a_definition_is_not_refused_with_another_that_the_token_may_not_report(
        self, engine: Client, ledger: Ledger, caplog: pytest.LogCaptureFixture
    ) -> None:
        ledger.refused, ledger.code = "a", "permission_denied"
        engine.add_stages("one", A)
        engine.add_stages("two", B)
        assert engine.flush()
        assert ("workflow one" in caplog.text, "workflow two" in caplog.text) == (True, False)


def test_a_definition_that_finds_no_room_is_reported_with_the_next_run(ledger: Ledger) -> None:
    with Client(transport=ledger, spool=False, sigterm=False, max_memory=10) as engine:
        engine.add_stages("w", A)
        engine.run("w", graph=["c", "d"])
        engine._sender.outbox.max_bytes = 1_000_000
        add(engine, A, A)
        engine.run("w", graph=["c", "d"])
        assert engine.flush()
    assert ledger.defined == ["ab", "cd"]


def test_no_thread_creates_a_run_before_its_definition(
    engine: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that comes in between creates its run after its own definition."""
    take, others = engine.add, [True]

    def add_late(draft: Draft) -> bool:
        if others and others.pop():
            engine.add_stages("w", A)
            engine.run("w").create()
        return take(draft)

    monkeypatch.setattr(engine, "add", add_late)
    engine.add_stages("w", A)
    engine.run("w").create()
    assert engine.flush()
    kinds = [kind for kind in ledger.kinds if kind in {"workflow.ensure", "execution.create"}]
    assert (kinds[0], kinds.count("workflow.ensure"), kinds.count("execution.create")) == ("workflow.ensure", 2, 2)


def test_stages_that_add_the_same_are_reported_once(engine: Client, ledger: Ledger) -> None:
    add(engine, *[(("a",),) * length for length in range(1, 100)])
    assert ledger.defined == ["a", "a"]  # without and with an edge to itself


def test_a_call_that_others_conflict_with_does_not_say_that_the_ledger_is_away(
    engine: Client, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.is_contended = True
    add(engine, A)
    assert ledger.defined == ["ab"]
    assert "facts are kept and sent again: others change it" in caplog.text
    assert "cannot be reached" not in caplog.text
