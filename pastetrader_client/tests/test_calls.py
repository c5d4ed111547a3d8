"""A call notes values as they are, and waits for nothing; the sending thread encodes what it has noted."""

import json
import threading
import traceback
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

from pastetrader_client import Client
from pastetrader_client.documents import MAX_COPIED, TOO_LARGE, capture, document
from pastetrader_client.ids import uuid7
from pastetrader_client.spool import Spool
from pastetrader_client.tests.stub import Stub, stub_ledger
from pastetrader_client.tests.waiting import close, wait_until
from pastetrader_client.tracebacks import capture_error

type Make = Callable[..., Client]


class Changing:
    """An object whose text is another one later."""

    def __init__(self, state: str) -> None:
        self.state = state

    def __str__(self) -> str:
        return self.state


def values() -> list[Any]:
    """Return outputs of each kind: flat, nested, with parts that are no JSON, and large."""
    return [
        {"rows": 1, "file": "a"},
        {"of": {"rows": [1, {"deep": [2]}]}},
        {"when": Changing("then"), "rows": [1]},
        {"many": [[number] for number in range(MAX_COPIED)]},
    ]


def change(value: Any) -> None:
    """Change everything in a value that can be changed."""
    if isinstance(value, Changing):
        value.state = "now"
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        change(part)
    if isinstance(value, dict | list):
        value.clear()


@pytest.mark.parametrize("kind", range(4))
def test_a_value_that_the_engine_changes_later_is_recorded_as_it_was(client_of: Make, stub: Stub, kind: int) -> None:
    expected = json.loads(json.dumps(values()[kind], default=str))
    given, tags, graph = [values()[kind] for _each in range(4)], ["daily"], {"load": ["fetch"]}
    client = client_of(stub.url)
    run = client.run(workflow="w", input=given[0], metadata={"own": given[1]}, tags=tags, graph=graph)
    node = run.node("load", input=given[2])
    node.output = given[3]
    line = values()[kind]
    with run, node:
        node.info("x", **line)
        change(line)
    for each in [*given, tags, graph]:
        change(each)
    assert client.flush()
    facts = {fact["kind"]: fact for fact in stub.facts}
    assert facts["execution.create"]["input_data"] == expected
    assert facts["execution.create"]["metadata"] == {"own": expected, "tags": ["daily"], "allow_concurrent": True}
    assert facts["node.create"]["input_data"] == facts["node.complete"]["output_data"] == expected
    assert facts["log"]["data"] == expected
    assert [node["name"] for node in facts["workflow.ensure"]["workflow"]["nodes"]] == ["load", "fetch"]


def test_an_error_is_recorded_as_it_was(client_of: Make, stub: Stub) -> None:
    client, reason = client_of(stub.url), Changing("then")
    node = client.attach(uuid7()).node("load")
    try:
        raise ValueError("first")
    except ValueError as error:
        node.fail(error)
        error.args = ("second",)
        error.add_note("added later")
    node.info("%s", reason)
    reason.state = "now"
    assert client.flush()
    failed = next(fact for fact in stub.facts if fact["kind"] == "node.fail")
    assert (stub.messages, failed["error_message"]) == (["then"], "ValueError: first")
    assert failed["error_traceback"].endswith("\nValueError: first\n")


def fail_in_depth() -> None:
    try:
        {}["missing"]
    except KeyError as error:
        found = LookupError("no prices")
        found.add_note("of AAPL\nand IBM")
        raise found from error


def fail_while_handling() -> None:
    try:
        fail_in_depth()
    finally:
        raise Unprintable


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def fail_with_others() -> None:
    raise ExceptionGroup("two", [ValueError("a"), TypeError("b")])


def misspell() -> None:
    fail_in_dept()  # type: ignore[name-defined]  # noqa: F821  # the traceback suggests another name


@pytest.mark.parametrize("function", [fail_in_depth, fail_with_others, misspell, lambda: compile("a b", "f", "exec")])
def test_the_text_of_a_traceback_is_that_of_python(function: Callable[[], object]) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011  # of each function another one
        function()
    assert str(capture_error(raised.value)[1]) == "".join(traceback.format_exception(raised.value))


def test_an_error_without_a_text_has_a_traceback() -> None:
    with pytest.raises(Unprintable) as raised:
        fail_while_handling()
    message, found = capture_error(raised.value)
    assert message == "Unprintable: <str() of a Unprintable failed>"
    assert "During handling of the above exception" in str(found)


def test_a_document_is_bounded_before_it_is_encoded() -> None:
    many: Any = [0] * 200_000
    circle: Any = []
    circle.append(circle)
    assert [capture(value)[0] for value in (many, {"x": many}, "x" * 1_200_000, circle)] == [TOO_LARGE] * 4
    assert json.loads(document(capture([[0] * 300] * 300)[0])) == [[0] * 300] * 300


@pytest.mark.parametrize(
    ("value", "recorded"),
    [
        ("a\0b", "a\\x00b"),
        ("\ud800 \U0001f600", "\\ud800 \U0001f600"),
        ("\udc00\\u0000", "\\udc00\\u0000"),
        ({"\0": ["\\\0"]}, {"\\x00": ["\\\\x00"]}),
        ([{"n": number} for number in range(60)], [{"n": number} for number in range(60)]),
        ("한국어", "한국어"),
    ],
)
def test_texts_that_the_ledger_cannot_store_are_written_as_escapes(value: Any, recorded: Any) -> None:
    assert json.loads(document(value)) == recorded


def test_a_message_whose_text_cannot_be_made_is_recorded_as_that(client_of: Make, stub: Stub) -> None:
    client = client_of(stub.url)
    client.attach(uuid7()).info(Unprintable())
    assert client.flush()
    assert stub.messages == ["<str() of a Unprintable failed>"]


# --- nothing to wait for ----------------------------------------------------------
def report_much(client: Client) -> None:
    with client.run(workflow="w") as run, run.node("load") as node:
        for _line in range(1_000):
            node.info("x")


def finishes(work: Callable[[], object]) -> bool:
    """Return whether the work ends while something else waits for the test."""
    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    return not thread.is_alive()


def test_an_engine_does_not_wait_for_an_answer(client_of: Make, stub: Stub) -> None:
    client, go_on = client_of(stub.url), threading.Event()
    stub.reply = lambda _size: (200, {}) if go_on.wait(60) else (500, {})
    client.attach(uuid7()).info("first")
    wait_until(lambda: stub.calls)
    assert finishes(lambda: report_much(client))
    go_on.set()
    assert client.flush()


def test_an_engine_does_not_wait_for_a_file(client_of: Make, away: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even while another thread closes the client, which writes what is left."""
    client, go_on, write = client_of(away), threading.Event(), Spool.write
    writing = threading.Event()

    def slow_write(spool: Spool, facts: Any) -> bool:
        writing.set()
        return go_on.wait(60) and write(spool, facts)

    monkeypatch.setattr(Spool, "write", slow_write)
    client.attach(uuid7()).info("first")
    closing = Thread(target=close, args=(client,))
    closing.start()
    assert writing.wait(20)
    assert finishes(lambda: report_much(client))
    go_on.set()
    closing.join(60)
    assert not closing.is_alive()
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        assert client.flush()
        client_of(away).flush()
        assert stub.kinds.count("log") == 1_001


def test_a_fact_that_cannot_be_encoded_does_not_stop_the_others(
    client_of: Make, stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_kind: str, _run: str) -> None:
        raise ZeroDivisionError

    client = client_of(stub.url)
    run = client.attach(uuid7())
    run.info("before")
    client.add((10, "log", run, fail, ()))
    run.info("after")
    assert client.flush()
    assert stub.messages == ["before", "after"]
    assert "cannot be encoded" in caplog.text


class Hostile(dict[str, object]):
    """A document of an engine, all of whose methods fail."""

    def fail(self, *_args: object) -> Any:
        raise RuntimeError("not while it is closed")

    keys = values = items = get = __iter__ = __len__ = __bool__ = __getitem__ = __str__ = __repr__ = fail


class HostileError(Exception):
    @property
    def __notes__(self) -> Any:
        raise RuntimeError("no notes")


HOSTILE: dict[str, Callable[[Client, Any], object]] = {
    "input": lambda client, value: client.run(workflow="w", input=value),
    "context": lambda client, value: client.run(workflow="w", context=value),
    "metadata": lambda client, value: client.run(workflow="w", metadata=value),
    "input of a node": lambda client, value: client.run(workflow="w").node("a", input=value),
    "output": lambda client, value: client.run(workflow="w").complete(value),
    "data": lambda client, value: client.run(workflow="w").info("%s", value, more=value),
    "error": lambda client, _value: client.run(workflow="w").fail(HostileError("failed")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_is_reported_raises(client_of: Make, stub: Stub, name: str) -> None:
    client = client_of(stub.url)
    for value in (Hostile(a=1), {"in": Hostile(a=1)}, [Hostile(a=1)]):
        HOSTILE[name](client, value)
    client.run(workflow="w").start()
    assert client.flush()
    assert "execution.start" in stub.kinds
