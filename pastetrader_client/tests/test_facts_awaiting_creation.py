"""Facts that arrive before the creation of their run."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from executions.models import ExecutionLog, NodeExecution
from pastetrader_client import Client, facts_awaiting_creation
from pastetrader_client.ids import uuid7
from pastetrader_client.tests.stored_rows import messages, the_run
from tokens.models import Scope, Token

ROOT = Path(__file__).resolve().parents[2]


FORK = """
import os, sys, time
from pastetrader_client import Client
client = Client(os.environ["URL"], os.environ["TOKEN"], spool=False, exit_seconds=30)
parent, send = os.getpid(), client._transport.send
def late(bodies):
    time.sleep(1 if os.getpid() == parent else 0)
    return send(bodies)
client._transport.send = late
run = client.run(workflow="w")
node = run.node("a")
node.run.start()
node.start()
if os.fork() == 0:
    node.info("line of the child")
    run.info("another")
    with run.node("b"):
        pass
    sys.exit(0)
print(os.wait()[1])
node.complete()
run.complete()
"""


@pytest.mark.slow
def test_a_forked_child_may_report_before_its_parent_has_delivered_the_run(live_server: Any, owner: Any) -> None:
    _row, secret = Token.objects.issue(user=owner, name="engine", scopes=list(Scope.values))
    own = {"URL": live_server.url, "TOKEN": secret, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", FORK], cwd=ROOT, env=os.environ | own, text=True, capture_output=True, check=True
    )
    assert (done.stdout, the_run().status) == ("0\n", "completed"), done.stderr
    assert {*NodeExecution.objects.values_list("node_name", "status")} == {("a", "completed"), ("b", "completed")}
    assert {*ExecutionLog.objects.values_list("node_execution__node_name", "message")} == {
        ("a", "line of the child"), (None, "another"),
    }  # fmt: skip


def test_a_run_that_the_ledger_never_gets_does_not_hold_up_others_for_long(
    connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(facts_awaiting_creation, "PATIENCE", 0.5)
    client = connect()
    lost = client.attach(uuid7())
    lost.info("of no run")
    with client.run(workflow="w") as run:
        run.info("of a run")
    assert client.flush()
    assert (the_run().status, messages()) == ("completed", ["of a run"])
    assert "not_found" in caplog.text


@pytest.mark.slow
def test_a_run_that_the_ledger_never_gets_holds_up_no_other(connect: Callable[..., Client]) -> None:
    client = connect()
    client.attach(uuid7()).info("of no run")
    assert not client.flush(0.5)
    with client.run(workflow="w") as run:
        run.info("of a run")
    until = time.monotonic() + facts_awaiting_creation.PATIENCE / 2
    while messages() != ["of a run"] or the_run().status != "completed":
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_comes_after_the_creation_of_a_run_that_was_not_found_is_recorded(
    connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts_awaiting_creation, "PATIENCE", 0.0)
    client = connect()
    run = client.run(workflow="w", id=uuid7())
    client.attach(run.id).info("before")
    assert client.flush()
    client.attach(run.id).info("in the same batch")
    with run:
        run.info("after")
    assert client.flush()
    assert (the_run().status, messages()) == ("completed", ["in the same batch", "after"])
