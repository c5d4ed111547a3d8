"""Changes that others make, as the reporter hears of them: cancels, retries, ends; attempts of lines."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from pastetrader_client import Client, NodeCancelled, RunCancelled
from pastetrader_client.tests.stored_rows import messages, node_named, the_run
from pastetrader_client.tests.waiting import wait_until


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
