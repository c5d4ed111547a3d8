"""Rows that the ledger stores when an engine reports."""

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from executions.log_gaps import missing_lines
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from pastetrader_client import Client, NodeCancelled, RunCancelled, current_node, early_facts
from pastetrader_client.http_transport import HttpTransport
from pastetrader_client.ids import uuid7
from pastetrader_client.tests.waiting import wait_until
from pastetrader_client.transport import Answer
from tokens.models import Scope, Token
from workflows.models import Workflow

ROOT = Path(__file__).resolve().parents[2]


def the_run() -> WorkflowExecution:
    return WorkflowExecution.objects.get()


def node_named(name: str) -> NodeExecution:
    return NodeExecution.objects.get(node__name=name)


def messages() -> list[str]:
    return list(ExecutionLog.objects.order_by("id").values_list("message", flat=True))


def test_a_run_with_its_nodes_lines_and_outputs(client_of_ledger: Client) -> None:
    with client_of_ledger.run(workflow="momentum", input={"day": "2026-11-28"}, tags=["daily"]) as run:
        run.info("begins")
        with run.node("load", input={"from": "disk"}) as node:
            node.info("read %d rows", 7, file="prices.csv")
            node.output = {"rows": 7}
        with run.node("rank"):
            pass
        run.output = {"first": "GOOG"}
    assert client_of_ledger.flush()
    row = the_run()
    assert (str(row.pk), row.status, row.input_data) == (run.id, "completed", {"day": "2026-11-28"})
    assert (row.output_data, row.metadata["tags"]) == ({"first": "GOOG"}, ["daily"])
    load = node_named("load")
    assert (load.status, load.input_data, load.output_data) == ("completed", {"from": "disk"}, {"rows": 7})
    assert node_named("rank").status == "completed"
    assert messages() == ["begins", "read 7 rows"]
    assert [line.data for line in load.logs.all()] == [{"file": "prices.csv"}]


def test_a_line_that_is_lost_is_missing_in_the_ledger(client_of_ledger: Client) -> None:
    run = client_of_ledger.run(workflow="w")
    add = client_of_ledger.add
    for message in ("first", "lost", "last"):
        client_of_ledger.add = (lambda _fact: None) if message == "lost" else add  # type: ignore[assignment, misc]  # a method replaced in one object
        run.info(message)
    assert client_of_ledger.flush()
    assert missing_lines(UUID(run.id)).gaps == [(client_of_ledger.source, 2, 2)]


def test_times_are_those_of_the_engine(client_of_ledger: Client) -> None:
    began = time.time()
    with client_of_ledger.run(workflow="w") as run, run.node("a"):
        time.sleep(0.3)
    took = time.time() - began
    assert client_of_ledger.flush()
    row, node = the_run(), NodeExecution.objects.get()
    assert row.duration_seconds is not None
    assert node.duration_seconds is not None
    assert 0.3 <= node.duration_seconds <= row.duration_seconds <= took


def test_an_exception_fails_node_and_run_and_is_raised_on(client_of_ledger: Client) -> None:
    with pytest.raises(ZeroDivisionError), client_of_ledger.run(workflow="w") as run, run.node("divide"):
        raise ZeroDivisionError("division by zero")
    assert client_of_ledger.flush()
    node = node_named("divide")
    assert (node.status, node.error_message) == ("failed", "ZeroDivisionError: division by zero")
    assert "raise ZeroDivisionError(" in (node.error_traceback or "")
    assert (the_run().status, the_run().error_message) == ("failed", "divide: ZeroDivisionError: division by zero")


def test_an_exception_outside_of_nodes_leaves_its_traceback_in_the_log(client_of_ledger: Client) -> None:
    with pytest.raises(LookupError), client_of_ledger.run(workflow="w"):
        raise LookupError("nothing there")
    assert client_of_ledger.flush()
    assert (the_run().status, the_run().error_message) == ("failed", "LookupError: nothing there")
    line = ExecutionLog.objects.get()
    assert line.data is not None
    assert 'raise LookupError("nothing there")' in line.data["traceback"]


def test_a_failure_that_the_engine_handles_does_not_fail_the_run(client_of_ledger: Client) -> None:
    with client_of_ledger.run(workflow="w") as run:
        with pytest.raises(LookupError), run.node("a"):
            raise LookupError
    assert client_of_ledger.flush()
    assert (the_run().status, the_run().failed_nodes) == ("completed", 1)


def test_a_node_that_is_entered_again_is_retried(client_of_ledger: Client) -> None:
    with client_of_ledger.run(workflow="w") as run:
        node = run.node("fetch")
        with pytest.raises(LookupError), node:
            raise LookupError("first")
        with node:
            node.info("second")
    assert client_of_ledger.flush()
    row = NodeExecution.objects.get()
    assert (row.status, row.attempt, row.attempts.get().error_message) == ("completed", 2, "LookupError: first")


def test_exit_with_zero_completes_and_with_another_fails(client_of_ledger: Client) -> None:
    for code in (0, 3):
        with pytest.raises(SystemExit), client_of_ledger.run(workflow="w"):
            raise SystemExit(code)
    assert client_of_ledger.flush()
    assert list(WorkflowExecution.objects.order_by("pk").values_list("status", flat=True)) == ["completed", "failed"]


@pytest.mark.parametrize(
    "graph",
    [
        ["load", "rank", "report"],
        {"load": [], "rank": ["load"], "report": "rank"},
        {"nodes": ["load", {"name": "rank"}, "report"], "edges": [("load", "rank"), ("rank", "report")]},
    ],
)
def test_a_graph_declares_nodes_and_edges(client_of_ledger: Client, graph: Any) -> None:
    for _twice in "ab":
        with client_of_ledger.run(workflow="w", graph=graph) as run, run.node("rank"):
            pass
    assert client_of_ledger.flush()
    workflow = Workflow.objects.get()
    edges = workflow.edges.values_list("source_node__name", "target_node__name")
    assert set(edges) == {("load", "rank"), ("rank", "report")}
    assert (workflow.version, workflow.nodes.count(), workflow.executions.count()) == (1, 3, 2)
    assert set(NodeExecution.objects.values_list("execution_order", flat=True)) == {1}


def test_unknown_nodes_are_added_to_the_workflow_and_nothing_is_taken_away(
    client_of_ledger: Client, workflow: Workflow
) -> None:
    edges = workflow.edges.count()
    with client_of_ledger.run(workflow="momentum") as run:
        with run.node("fetch"):
            pass
        with run.node("extra", retries=7):
            pass
    assert client_of_ledger.flush()
    assert the_run().status == "completed"
    assert set(workflow.nodes.values_list("name", flat=True)) == {"fetch", "rank", "report", "extra"}
    assert workflow.edges.count() == edges
    assert workflow.nodes.get(name="extra").retry_config["max_retries"] == 7


def test_a_token_that_may_not_change_workflows_records_what_the_workflow_has(
    connect: Callable[..., Client], workflow: Workflow, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(scopes=["executions:report"])
    with client.run(workflow="momentum") as run:
        with run.node("unheard of") as node:
            node.info("a line")
        with run.node("fetch"):
            pass
    assert client.flush()
    assert (the_run().status, NodeExecution.objects.get().node.name) == ("completed", "fetch")
    assert messages() == ["a line"]
    assert "workflows:write" in caplog.text
    assert caplog.text.count("the ledger refused node.create") == 1


def test_what_is_refused_is_logged_once_and_the_rest_is_recorded(
    client_of_ledger: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with client_of_ledger.run(workflow="w") as run:
        node = run.node("a")
        node.start()
        node.complete({"x": 1})
        node.complete({"x": 2})
        node.fail("too late")
        node.info("kept")
    assert client_of_ledger.flush()
    assert (the_run().status, NodeExecution.objects.get().output_data, messages()) == ("completed", {"x": 1}, ["kept"])
    assert caplog.text.count("the ledger refused") == 1
    assert "invalid_transition" in caplog.text


def test_a_batch_with_many_refusals_loses_nothing_else(
    client_of_ledger: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with client_of_ledger.run(workflow="w") as run:
        for number in range(10):
            with run.node(f"node {number}") as node:
                node.complete({"x": 1})
                node.fail("too late")
                node.info("line %d", number)
    assert client_of_ledger.flush()
    assert the_run().status == "completed"
    assert [*NodeExecution.objects.values_list("status", "output_data")] == [("completed", {"x": 1})] * 10
    assert len(messages()) == 10
    assert caplog.text.count("the ledger refused") == 1


def test_nodes_that_may_not_be_retried_stay_failed_and_their_run_ends(
    connect: Callable[..., Client], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(scopes=["executions:read", "executions:report", "workflows:write"])
    send, calls = HttpTransport.send, count()

    def count_calls(transport: HttpTransport, bodies: Sequence[bytes]) -> Answer:
        next(calls)
        return send(transport, bodies)

    monkeypatch.setattr(HttpTransport, "send", count_calls)
    with client.run(workflow="w") as run:
        for number in range(10):
            node = run.node(f"node {number}")
            with pytest.raises(LookupError), node:
                raise LookupError("first")
            with node:
                node.info("second")
    assert client.flush()
    assert the_run().status == "completed"
    assert [*NodeExecution.objects.values_list("status", "attempt")] == [("failed", 1)] * 10
    assert len(messages()) == 10
    assert caplog.text.count("the ledger refused") == 1
    assert next(calls) < 6


def test_values_that_are_no_json_are_recorded_as_texts(client_of_ledger: Client) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    deep: Any = []
    for _level in range(200):
        deep = [deep]
    outputs = [{"x": float("nan"), "y": {1, 2}}, {"a\0\ud800": Broken}, deep, Broken(), "x" * 1_200_000, {(1, 2): 3}]
    with client_of_ledger.run(workflow="w") as run:
        for output in outputs:
            with run.node("a") as node:
                node.output = output
                node.info("%s is no %d", "this", "number")
                node.info("%s", Broken())
    assert client_of_ledger.flush()
    rows = NodeExecution.objects.order_by("pk")
    assert {row.status for row in rows} == {"completed"}
    assert rows[0].output_data == {"x": "nan", "y": [1, 2]}
    assert rows[4].output_data == {"not_recorded": "more than 1,000,000 bytes, or 100,000 values"}
    assert len(messages()) == 12


def test_a_run_that_may_not_run_beside_another_is_refused_by_the_ledger_alone(
    client_of_ledger: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        client_of_ledger.run(workflow="w", concurrent=False),
        client_of_ledger.run(workflow="w", concurrent=False) as b,
    ):
        assert client_of_ledger.flush()
        b.info("goes on")
    assert client_of_ledger.flush()
    assert set(WorkflowExecution.objects.values_list("status", flat=True)) == {"completed", "pending"}
    assert "concurrent_execution" in caplog.text
    assert messages() == ["goes on"]


def test_decorated_functions_are_runs_and_nodes(client_of_ledger: Client) -> None:
    client = client_of_ledger

    @client.node
    def load(rows: int) -> dict[str, int]:
        node = current_node()
        assert node is not None
        node.info("loading")
        return {"rows": rows}

    @client.node("named", retries=1)
    async def rank(rows: int) -> int:
        await asyncio.sleep(0)
        return rows

    @client.workflow(tags=["decorated"])
    async def etl() -> dict[str, int]:
        return {"ranked": await rank(load(3)["rows"])}

    assert load(1.5) == {"rows": 1.5} if current_node() else True
    assert asyncio.run(etl()) == {"ranked": 3}
    assert client.flush()
    run = the_run()
    assert (run.workflow.name, run.status, run.output_data) == ("etl", "completed", {"ranked": 3})
    assert (node_named("load").output_data, node_named("named").status) == ({"rows": 3}, "completed")
    assert messages() == ["loading"]
    with pytest.raises(TypeError, match="generator"):
        client.node(iter_numbers)


def iter_numbers() -> Any:
    yield 1


def test_nodes_of_threads_and_tasks_keep_their_lines_apart(client_of_ledger: Client) -> None:
    logger = logging.getLogger("engine.of.a.test")
    with client_of_ledger.run(workflow="w") as run:
        logger.addHandler(handler := run.handler())

        def work(name: str) -> None:
            with run.node(name):
                logger.warning("line of %s", name)

        async def tasks() -> None:
            await asyncio.gather(*(asyncio.to_thread(work, f"task {number}") for number in range(3)))

        threads = [Thread(target=work, args=(f"thread {number}",)) for number in range(3)]
        for thread in threads:
            thread.start()
        asyncio.run(tasks())
        for thread in threads:
            thread.join()
        logger.removeHandler(handler)
    assert client_of_ledger.flush()
    lines = ExecutionLog.objects.values_list("node_execution__node__name", "message")
    assert {(name, message.removeprefix("line of ")) for name, message in lines} == {
        (f"{kind} {number}", f"{kind} {number}") for kind in ("task", "thread") for number in range(3)
    }


def test_the_handler_records_levels_data_and_tracebacks(client_of_ledger: Client) -> None:
    root = logging.getLogger("engine.of.levels")
    root.setLevel(logging.DEBUG)
    root.propagate = False  # pytest's own handler fails where arguments do not fit
    with client_of_ledger.run(workflow="w") as run:
        root.addHandler(handler := run.handler(logging.INFO))
        root.debug("not this")
        try:
            raise LookupError("x")
        except LookupError:
            root.critical("with %s", "arguments", exc_info=True, extra={"rows": 3})
        root.info("%d", "does not fit")
        assert client_of_ledger.flush()
        root.removeHandler(handler)
    assert client_of_ledger.flush()
    first, second = ExecutionLog.objects.order_by("timestamp")
    assert (first.level, first.message, (first.data or {})["rows"]) == ("error", "with arguments", 3)
    assert "LookupError: x" in (first.data or {})["traceback"]
    assert "does not fit" in second.message


@pytest.mark.slow
def test_a_cancel_by_somebody_else_is_raised_at_the_next_call_of_a_node(connect: Callable[..., Client]) -> None:
    heard: list[Any] = []
    client = connect(on_cancel=heard.append)
    run = client.run(workflow="w")

    def work() -> None:
        with run, run.node("a") as node:
            assert client.flush()
            the_run().cancel()
            wait_until(lambda: run.is_cancelled)  # nothing is reported meanwhile: the heartbeat hears of it
            with pytest.raises(RunCancelled):
                node.info("not this")
            node.info("cleaning up")  # once only
            with pytest.raises(RunCancelled):
                run.node("b")
            run.info("not this either")

    with pytest.raises(RunCancelled):
        work()
    assert client.flush()
    assert heard == [run]
    assert (the_run().status, NodeExecution.objects.get().status) == ("cancelled", "cancelled")
    assert messages() == ["cleaning up"]


@pytest.mark.slow
@pytest.mark.parametrize("has_node", [True, False])
def test_a_cancel_is_heard_by_a_process_that_was_attached(connect: Callable[..., Client], has_node: bool) -> None:
    heard: list[Any] = []
    first, second = connect(), connect(on_cancel=heard.append)
    run = first.run(workflow="w")
    run.start()
    assert first.flush()
    attached = second.attach(run.id)
    reporter = attached.node("a") if has_node else attached
    if has_node:
        reporter.start()
    reporter.info("begins")
    assert second.flush()
    the_run().cancel()
    if not has_node:
        reporter.info("too late to hear of it before")
    wait_until(lambda: heard)  # of a node, the heartbeat hears it
    with pytest.raises(RunCancelled):
        reporter.info("not this")
    with pytest.raises(RunCancelled):
        attached.node("b")
    for _again in "ab":
        reporter.info("cleaning up")
        assert second.flush()
    assert heard == [attached]


def test_the_cancel_of_one_node_is_raised_at_its_next_call_and_the_run_goes_on(connect: Callable[..., Client]) -> None:
    heard: list[Any] = []
    client = connect(on_node_cancel=heard.append)
    with client.run(workflow="w") as run:
        node = run.node("a")

        def work() -> None:
            with node:
                assert client.flush()
                NodeExecution.objects.get().cancel()
                until = time.monotonic() + 20
                while not node.is_cancelled and time.monotonic() < until:
                    run.info("busy")  # lines do not ask about the node: the heartbeat does
                    time.sleep(0.05)
                node.info("not this")

        with pytest.raises(NodeCancelled):
            work()
        with run.node("b"):
            pass
    assert client.flush()
    assert heard == [node]
    assert {*NodeExecution.objects.values_list("node_name", "status")} == {("a", "cancelled"), ("b", "completed")}
    assert (the_run().status, {*messages()}) == ("completed", {"busy"})


@pytest.mark.slow
def test_a_retry_is_heard_and_the_run_resumed(connect: Callable[..., Client]) -> None:
    heard: list[Any] = []
    client = connect(on_retry=lambda run, attempt: heard.append((run, attempt)))
    with client.run(workflow="w") as run:
        with run.node("load"):
            pass
        with pytest.raises(LookupError), run.node("rank"):
            raise LookupError
        run.fail("rank failed")
    assert client.flush()
    the_run().retry()
    wait_until(lambda: bool(heard))
    assert heard == [(run.id, 2)]
    with client.resume(run.id) as again:
        assert [again.node(name).is_done for name in ("load", "rank")] == [True, False]
        with again.node("rank") as node:
            node.output = {"second": True}
    assert client.flush()
    row = the_run()
    assert (row.status, row.attempt, node_named("rank").output_data) == ("completed", 2, {"second": True})
    assert node_named("rank").attempts.count() == 1


@pytest.mark.slow
@pytest.mark.parametrize("end", ["complete", "fail"])
def test_a_run_that_another_process_has_ended_is_asked_about_no_more(connect: Callable[..., Client], end: str) -> None:
    retried: list[str] = []
    first, second = connect(), connect(on_retry=lambda run, _attempt: retried.append(run))
    for client in (first, second):
        run = client.run(workflow="w")
        run.start()
        assert client.flush()
        row = WorkflowExecution.objects.get(pk=run.id)
        row.complete() if end == "complete" else row.fail(error_message="by another")
    wait_until(lambda: not first._watch.entries)
    assert not first._watch.due()
    if end == "fail":  # a retry of it may still be heard of
        row.refresh_from_db()
        row.retry()
        wait_until(lambda: retried == [run.id])
    wait_until(lambda: not second._watch.entries)


def test_a_line_is_of_the_attempt_in_which_it_was_logged(connect: Callable[..., Client]) -> None:
    client = connect()
    run = client.run(workflow="w")
    run.start()
    node = run.node("a")
    with pytest.raises(LookupError), node:
        raise LookupError
    run.fail("a failed")
    assert client.flush()
    the_run().retry()
    node.info("late line of the node")
    run.info("late line of the run")
    client.attach(run.id).info("line of a process that does not know the attempt")
    with client.resume(run.id) as again, again.node("a") as retried:
        again.info("second")
        retried.info("second of the node")
    assert client.flush()
    assert {*ExecutionLog.objects.values_list("attempt", "message")} == {
        (1, "late line of the node"), (1, "late line of the run"), (2, "second"), (2, "second of the node"),
        (2, "line of a process that does not know the attempt"),
    }  # fmt: skip


def test_a_line_after_retry_is_of_the_attempt_that_failed(client_of_ledger: Client) -> None:
    with client_of_ledger.run(workflow="w") as run:
        node = run.node("a")
        with pytest.raises(LookupError), node:
            raise LookupError
        node.retry()
        node.info("tries again in a minute")
        with node:
            node.info("tries again")
    assert client_of_ledger.flush()
    assert [*ExecutionLog.objects.order_by("id").values_list("attempt", flat=True)] == [1, 2]


def test_a_run_may_be_reported_by_several_processes(connect: Callable[..., Client]) -> None:
    first, second = connect(), connect()
    run = first.run(workflow="w")
    run.start()
    assert first.flush()
    with second.attach(run.id).node("a") as node:
        node.info("from elsewhere")
    assert second.flush()
    run.complete()
    assert first.flush()
    assert (the_run().status, NodeExecution.objects.get().status, messages()) == (
        "completed", "completed", ["from elsewhere"],
    )  # fmt: skip


def test_raw_facts_and_a_later_call(client_of_ledger: Client) -> None:
    run = client_of_ledger.run(workflow="w")
    client_of_ledger.report([
        {"kind": "execution.create", "id": run.id, "workflow": "w", "trigger_type": "event"},
        {"kind": "execution.start", "id": run.id, "at": "2020-01-01T00:00:00Z"},
    ])  # fmt: skip
    found: list[Any] = []
    client_of_ledger.call_later(0.05, lambda http: found.append(http.get(f"/executions/{run.id}/").json()["status"]))
    assert client_of_ledger.flush()
    wait_until(lambda: bool(found))
    assert (found, the_run().started_at.year if the_run().started_at else 0) == (["running"], 2020)


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
    monkeypatch.setattr(early_facts, "PATIENCE", 0.5)
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
    until = time.monotonic() + early_facts.PATIENCE / 2
    while messages() != ["of a run"] or the_run().status != "completed":
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_comes_after_the_creation_of_a_run_that_was_not_found_is_recorded(
    connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_facts, "PATIENCE", 0.0)
    client = connect()
    run = client.run(workflow="w", id=uuid7())
    client.attach(run.id).info("before")
    assert client.flush()
    client.attach(run.id).info("in the same batch")
    with run:
        run.info("after")
    assert client.flush()
    assert (the_run().status, messages()) == ("completed", ["in the same batch", "after"])
