"""Rows that the ledger stores when an engine reports."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from itertools import count
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from executions.log_gaps import missing_lines
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from pastetrader_client import Client, current_node
from pastetrader_client.http_transport import HttpTransport
from pastetrader_client.tests.stored_rows import messages, node_named, the_run
from pastetrader_client.tests.waiting import wait_until
from pastetrader_client.transport import Answer
from workflows.models import Workflow


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
