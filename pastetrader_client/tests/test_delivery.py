"""When facts are sent, and what becomes of those that cannot be."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pastetrader_client import Client, outbox
from pastetrader_client.encoding import Fact, draft_of
from pastetrader_client.ids import derive, uuid7
from pastetrader_client.outbox import Outbox
from pastetrader_client.tests.spooled_files import spooled
from pastetrader_client.tests.stub import Stub, stub_ledger
from pastetrader_client.tests.waiting import wait_until

type Make = Callable[..., Client]
LINES = [f"line {number}" for number in range(300)]


@pytest.mark.slow
def test_a_first_fact_waits_for_others(client_of: Make, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outbox.DELAY == 0.2
    monkeypatch.setattr(outbox, "DELAY", 1.5)  # a busy machine may need more than 0.2 seconds for the lines
    run = client_of(stub.url).attach(uuid7())
    began = time.monotonic()
    for message in LINES:
        run.info(message)
    wait_until(lambda: stub.facts)
    assert stub.calls[0][0] - began > 1.4
    assert (stub.messages, len(stub.calls)) == (LINES, 1)


@pytest.fixture
def long_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let facts wait for longer than any test takes: what arrives did not wait."""
    monkeypatch.setattr(outbox, "DELAY", 60.0)


@pytest.mark.usefixtures("long_delay")
@pytest.mark.parametrize("lines", [["x"] * 500, ["x" * 30_000] * 9])
def test_many_facts_or_large_ones_do_not_wait(client_of: Make, stub: Stub, lines: list[str]) -> None:
    run = client_of(stub.url).attach(uuid7())
    for message in lines:
        run.info(message)
    wait_until(lambda: stub.calls)


@pytest.mark.usefixtures("long_delay")
def test_the_end_of_a_run_is_sent_at_once_and_is_not_waited_for(client_of: Make, stub: Stub) -> None:
    client = client_of(stub.url)
    go_on, answered = threading.Event(), []

    def reply(_size: int) -> tuple[int, dict[str, str]]:
        answered.append(go_on.wait(30))
        return 200, {}

    stub.reply = reply
    with client.run(workflow="w"):
        pass
    wait_until(lambda: stub.calls)
    assert answered == []
    go_on.set()
    assert client.flush()
    assert stub.kinds == ["execution.create", "execution.start", "execution.complete"]


def test_a_large_body_is_compressed(client_of: Make, stub: Stub) -> None:
    client = client_of(stub.url)
    run = client.attach(uuid7())
    run.info("short")
    assert client.flush()
    assert stub.compressed == []
    for message in LINES:
        run.info(message)
    assert client.flush()
    assert stub.messages == ["short", *LINES]
    assert sum(stub.compressed) * 3 < sum(size for _when, size in stub.calls)


def test_lines_are_numbered_by_source_and_run(client_of: Make, stub: Stub) -> None:
    client = client_of(stub.url, source="worker-3")
    first, second = client.attach(uuid7()), client.attach(uuid7())
    first.info("a")
    second.info("b")
    client.attach(first.id).info("c")  # another object of the same run
    assert client.flush()
    assert [(line["message"], line["source"], line["seq"]) for line in stub.facts] == [
        ("a", client.source, 1), ("b", client.source, 1), ("c", client.source, 2),
    ]  # fmt: skip
    assert client.source == "worker-3"


def test_the_default_source_is_that_of_no_other_client(client_of: Make, away: str) -> None:
    assert len({client_of(away).source for _times in range(2)}) == 2
    assert client_of(away, source="x" * 300).source == "x" * 200


@pytest.mark.slow
def test_what_is_reported_while_the_ledger_is_away_arrives_in_order_and_once(client_of: Make, away: str) -> None:
    client = client_of(away)
    run = client.attach(uuid7())
    for message in LINES:
        run.info(message)
    assert not client.flush(0.7)
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        assert client.flush(10)
        assert (stub.messages, stub.twice()) == (LINES, set())


@pytest.mark.slow
def test_the_pauses_between_tries_become_longer(client_of: Make, stub: Stub) -> None:
    stub.reply = lambda _size: (503, {})
    client_of(stub.url).attach(uuid7()).info("x")
    wait_until(lambda: len(stub.calls) == 4)
    times = [at for at, _size in stub.calls]
    pauses = [after - before for before, after in pairwise(times)]
    for pause, most in zip(pauses, (0.25, 0.5, 1), strict=True):
        assert most / 2 - 0.01 <= pause < most + 0.3


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed(client_of: Make, stub: Stub, status: int) -> None:
    stub.reply = lambda _size: (status, {"Retry-After": "1"}) if len(stub.calls) == 1 else (200, {})
    client = client_of(stub.url)
    client.attach(uuid7()).info("x")
    assert client.flush(5)
    assert stub.calls[1][0] - stub.calls[0][0] >= 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_stops_the_sending_and_facts_are_kept(
    client_of: Make, stub: Stub, status: int, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    stub.reply = lambda _size: (status, {})
    client = client_of(stub.url)
    run = client.attach(uuid7())
    run.info("x")
    client.flush(5)
    run.info("y")
    assert not client.flush(0.5)
    assert len(stub.calls) == 1
    assert caplog.text.count("refused the token") == 1
    assert "as the test wants it. Nothing is sent any more." in caplog.text
    client.close()
    assert len(spooled(tmp_path)) == 1


@pytest.mark.slow
def test_a_body_that_is_too_large_is_sent_in_halves(
    client_of: Make, stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    stub.reply = lambda size: (413 if size > 20_000 else 200, {})
    client = client_of(stub.url)
    run = client.attach(uuid7())
    for message in [*LINES, "x" * 21_000]:
        run.info(message)
    assert client.flush()
    assert stub.messages == LINES
    assert caplog.text.count("too large") == 1


def test_a_page_of_another_server_is_no_answer(client_of: Make, stub: Stub, caplog: pytest.LogCaptureFixture) -> None:
    stub.reply = lambda _size: (404 if len(stub.calls) == 1 else 200, {})
    client = client_of(stub.url)
    client.attach(uuid7()).info("x")
    assert client.flush()
    assert "is http://127.0.0.1" in caplog.text
    assert stub.messages == ["x"]


def test_functions_that_wait_in_vain_for_the_ledger_let_facts_and_heartbeats_be_sent(
    client_of: Make, stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    client, called = client_of(stub.url), Counter[str]()

    def fails(_http: Any) -> None:
        called["fails"] += 1
        client.call_later(0, fails)  # as the looks at Celery's runs do
        raise ConnectionError("the ledger does not answer")

    for _times in range(200):
        client.call_later(0, fails)
    wait_until(lambda: called["fails"])
    client.attach(uuid7()).info("x")
    assert client.flush()
    wait_until(lambda: called["fails"] > 2)
    assert (stub.messages, caplog.text.count("Traceback")) == (["x"], 1)


def test_functions_that_take_long_let_facts_be_sent(client_of: Make, stub: Stub) -> None:
    client, sent = client_of(stub.url), threading.Event()

    def looks(_http: Any) -> None:
        if not sent.wait(0.2):
            client.call_later(0, looks)

    for _times in range(200):
        client.call_later(0, looks)
    client.attach(uuid7()).info("x")
    wait_until(lambda: stub.messages == ["x"])
    sent.set()


def test_a_function_that_fails_delays_others_only_a_little(client_of: Make, stub: Stub) -> None:
    client, called = client_of(stub.url), threading.Event()
    client.call_later(0, lambda _http: 1 / 0)
    client.call_later(0, lambda _http: called.set())
    assert called.wait(60)


def test_what_httpx_logs_while_a_run_is_resumed_is_not_recorded(
    client_of: Make, stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(stub.url)
    handler = client.attach(uuid7()).handler()
    loggers = [logging.getLogger(name) for name in ("httpx", "httpcore")]
    for each in loggers:
        caplog.set_level(logging.DEBUG, each.name)
        each.addHandler(handler)
    try:
        assert client.resume(run := uuid7()).id == run
        loggers[0].info("GET /prices")
        loggers[1].debug("connect_tcp")
    finally:
        for each in loggers:
            each.removeHandler(handler)
    assert client.flush()
    assert stub.messages == ["GET /prices", "connect_tcp"]
    assert [record.getMessage() for record in caplog.records if record.name == "httpx"] == ["GET /prices"]


def test_ids_are_in_the_order_of_time_and_derived_ones_are_stable() -> None:
    now = time.time_ns()
    made = [uuid7(now + 1_000 * step) for step in range(1_000)]
    assert made == sorted(made)
    assert derive(made[0], "load", 1) == derive(made[0], "load", 1) != derive(made[0], "load", 2)
    assert {id[14] for id in [*made, derive(made[0], "x")]} == {"7"}
    assert derive(made[0], "x")[:13] == made[0][:13]


def test_an_outbox_keeps_transitions_longer_than_lines() -> None:
    outbox = Outbox(1_000)
    for kind in ["log"] * 20 + ["node.start"] * 20:
        outbox.add(draft_of(Fact("run", kind, b"x" * 100)))
    assert [kind for _size, kind, *_rest in outbox.facts] == ["log"] * 10 + ["node.start"] * 10
    assert outbox.dropped == {"run": 20}


def test_the_reporters_own_lines_are_not_recorded(client_of: Make, stub: Stub) -> None:
    client = client_of(stub.url)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    run = client.attach(uuid7())
    root.addHandler(handler := run.handler())
    try:
        logging.getLogger("engine").info("one line")
        assert client.flush()
        time.sleep(0.3)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert [fact["message"] for fact in stub.facts if "HTTP" in fact["message"]] == []
    assert stub.messages == ["one line"]


def test_what_a_program_logs_of_its_own_requests_is_recorded(client_of: Make, stub: Stub) -> None:
    first, second = client_of(stub.url), client_of(stub.url, name="second")
    engine = logging.getLogger("httpx")
    level = engine.level
    engine.setLevel(logging.DEBUG)
    handlers = [client.attach(uuid7()).handler() for client in (first, second)]
    for handler in handlers:
        engine.addHandler(handler)
    try:
        engine.info("GET /prices")
        assert first.flush()
        assert second.flush()
        time.sleep(0.3)
    finally:
        for handler in handlers:
            engine.removeHandler(handler)
        engine.setLevel(level)
    assert stub.messages == ["GET /prices"] * 2
