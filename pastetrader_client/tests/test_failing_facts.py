"""Facts at which the ledger fails, and answers that no second try changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pastetrader_client import Client, sender
from pastetrader_client.failing_facts import DROPPED
from pastetrader_client.ids import uuid7
from pastetrader_client.tests.spooled_files import spooled
from pastetrader_client.tests.stub import Stub, stub_ledger
from pastetrader_client.tests.waiting import close, wait_until

type Make = Callable[..., Client]
BAD = "a line at which the ledger fails"
LINES = [f"line {number}" for number in range(40)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST", 0.02)


def fails(facts: list[dict[str, Any]]) -> int:
    return 500 if any(fact.get("message") == BAD for fact in facts) else 200


def texts(stub: Stub) -> set[str]:
    return set(stub.messages)


@pytest.mark.parametrize("place", [0, 17, 40])
def test_others_arrive_and_the_fact_is_reported_as_dropped(
    client_of: Make, stub: Stub, caplog: pytest.LogCaptureFixture, place: int
) -> None:
    stub.status_of = fails
    client = client_of(stub.url)
    run = client.attach(uuid7())
    for message in [*LINES[:place], BAD, *LINES[place:]]:
        run.info(message)
    assert client.flush(30)
    assert texts(stub) == {*LINES, DROPPED % "log"}
    (line,) = {fact["id"]: fact for fact in stub.facts if "dropped" in fact["message"]}.values()
    assert (line["workflow_execution"], line["data"]) == (run.id, {"dropped": 1})
    assert caplog.text.count("the ledger fails at it") == 1


def test_a_file_that_has_such_a_fact_holds_up_no_later_process(client_of: Make, away: str, tmp_path: Path) -> None:
    first = client_of(away)
    first.attach(uuid7()).info(BAD)
    close(first)
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        stub.status_of = fails
        second = client_of(away)
        second.attach(uuid7()).info("later")
        assert second.flush(30)
        assert texts(stub) == {"later", DROPPED % "log"}
    assert not spooled(tmp_path)


def test_a_run_that_cannot_be_made_holds_up_no_other_run(client_of: Make, away: str, tmp_path: Path) -> None:
    """No line of that run is taken either: only a fact in memory shows that the ledger works."""
    first, bad = client_of(away), uuid7()
    first.run(workflow="bad", id=bad).start()
    close(first)
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        stub.status_of = lambda facts: 500 if any(bad in fact.values() for fact in facts) else 200
        second = client_of(away)
        second.run(workflow="good").start()
        assert second.flush(30)
        assert stub.kinds[-2:] == ["execution.create", "execution.start"]
    assert not spooled(tmp_path)


def test_nothing_is_dropped_while_the_ledger_fails_at_everything(client_of: Make, stub: Stub) -> None:
    stub.status_of = lambda _facts: 500
    run = client_of(stub.url).attach(uuid7())
    for message in LINES:
        run.info(message)
    wait_until(lambda: sum(size < 1_000 for _at, size in stub.calls) > 3)  # of single facts
    stub.status_of = lambda _facts: 200
    wait_until(lambda: set(LINES) <= texts(stub))
    assert texts(stub) == set(LINES)


def test_an_overload_drops_nothing(client_of: Make, stub: Stub) -> None:
    stub.status_of = lambda _facts: 503 if len(stub.calls) < 6 else 200
    client = client_of(stub.url)
    client.attach(uuid7()).info(BAD)
    assert client.flush(30)
    assert stub.messages == [BAD]


def test_a_body_that_cannot_be_processed_is_sent_in_halves(client_of: Make, stub: Stub) -> None:
    stub.status_of = lambda facts: 422 if fails(facts) == 500 else 200
    client = client_of(stub.url)
    run = client.attach(uuid7())
    for message in [*LINES, BAD]:
        run.info(message)
    assert client.flush(30)
    assert texts(stub) == set(LINES)


@pytest.mark.parametrize("status", [404, 415])
def test_a_wrong_address_is_said_and_facts_are_kept(
    client_of: Make, stub: Stub, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    stub.status_of = lambda _facts: status
    client = client_of(stub.url)
    client.attach(uuid7()).info("kept")
    wait_until(lambda: len(stub.calls) > 1)
    close(client)
    said = f"no ledger takes facts at this address, they are kept until one does: answer {status}"
    assert caplog.text.count(said) == 1
    assert f"is {stub.url}/api/v1 the address of the ledger" in caplog.text
    assert len(spooled(tmp_path)) == 1
