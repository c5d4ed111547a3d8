"""Leases: heartbeats by themselves, and the end of work that another worker has taken over."""

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from django.utils import timezone

from executions import reporting
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.models.lease import NodeExecutionLease, WorkflowExecutionLease
from executions.upkeep.overdue_attempts import end_overdue
from pastetrader_client import Client, Node, NodeFenced, Run, RunFenced, current_node
from pastetrader_client.ids import uuid7
from pastetrader_client.tests.stub import Stub
from pastetrader_client.tests.waiting import wait_until

type Connect = Callable[..., Client]


def let_lapse(leases: Any) -> None:
    """Let upkeep end the attempt, as after a long pause of its worker."""
    wait_until(leases.exists)
    ended = 0
    while not ended:  # a heartbeat may come in between
        leases.update(expires_at=timezone.now() - timedelta(seconds=1))
        ended, _retried = end_overdue()


def take_over(node: str, output: Any) -> None:
    """Let upkeep end the attempt of a node, and another worker complete the next one."""
    let_lapse(NodeExecutionLease.objects.filter(node_execution=node))
    row = NodeExecution.objects.get(pk=node)
    if row.status == "failed":
        row.retry()
    row.complete(output, token=row.start(worker="another", lease_seconds=60))


def test_runs_and_nodes_start_under_leases_of_the_process(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    client = connect(lease_seconds=60)
    with client.run(workflow="w") as run, run.node("a") as node:
        node.info("begins")
        run.info("one of the run")
    assert client.flush()
    of_run, of_node = WorkflowExecutionLease.objects.get(), NodeExecutionLease.objects.get()
    assert (of_run.worker, of_node.worker) == (client.worker, client.worker)
    assert client.worker.endswith(f":{os.getpid()}")
    assert (of_run.seconds, of_node.seconds, str(of_node.token)) == (60, 60, node.token)
    assert (WorkflowExecution.objects.get().status, ExecutionLog.objects.count()) == ("completed", 2)
    assert "refused" not in caplog.text


def test_without_lease_seconds_there_are_none(connect: Connect) -> None:
    for client, seconds in ((connect(), None), (connect(lease_seconds=60), 0)):
        with client.run(workflow="w", lease_seconds=seconds) as run, run.node("a"):
            pass
        assert client.flush()
    assert not WorkflowExecutionLease.objects.exists()
    assert not NodeExecutionLease.objects.exists()


def test_a_run_and_a_node_may_have_leases_of_their_own(connect: Connect) -> None:
    client = connect(worker="worker-3")
    with client.run(workflow="w", lease_seconds=30) as run, run.node("a"), run.node("b", lease_seconds=90):
        pass
    assert client.flush()
    assert WorkflowExecutionLease.objects.get().seconds == 30
    assert set(NodeExecutionLease.objects.values_list("worker", "seconds")) == {("worker-3", 30), ("worker-3", 90)}


@pytest.mark.parametrize("seconds", [-1, 86_401])
def test_a_lease_that_the_ledger_would_refuse_is_refused_at_once(stub: Stub, client_of: Connect, seconds: int) -> None:
    with pytest.raises(ValueError, match="lease_seconds"):
        client_of(stub.url, lease_seconds=seconds)
    with pytest.raises(ValueError, match="lease_seconds"):
        client_of(stub.url).run(workflow="w", lease_seconds=seconds)


def test_heartbeats_are_sent_by_themselves_until_the_end(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    client = connect(lease_seconds=1)
    with client.run(workflow="w") as run:
        with run.node("a") as ended:
            pass
        with run.node("b") as node:
            assert client.flush()
            leases = NodeExecutionLease.objects
            of_ended = leases.get(node_execution=ended.id).heartbeat_at
            for _twice in range(2):
                beat = leases.get(node_execution=node.id).heartbeat_at
                of_run = WorkflowExecutionLease.objects.get().heartbeat_at
                wait_until(lambda: leases.get(node_execution=node.id).heartbeat_at > beat)  # noqa: B023  # at once
                wait_until(lambda: WorkflowExecutionLease.objects.get().heartbeat_at > of_run)  # noqa: B023  # called at once
            assert leases.get(node_execution=ended.id).heartbeat_at == of_ended
    assert client.flush()
    assert "refused" not in caplog.text
    assert WorkflowExecution.objects.get().version == 3


@pytest.mark.slow
def test_heartbeats_go_on_while_the_ledger_is_away_and_are_not_kept(client_of: Connect, stub: Stub) -> None:
    client = client_of(stub.url, lease_seconds=1)
    with client.run(workflow="w") as run:
        assert client.flush()
        wait_until(lambda: "execution.heartbeat" in stub.kinds)
        stub.reply = lambda _size: (503, {"Retry-After": "2"})
        run.info("waits")
        away = len(stub.calls)
        wait_until(lambda: len(stub.calls) >= away + 8)
        calls, heard = len(stub.calls) - away, stub.kinds.count("execution.heartbeat")
        stub.reply = lambda _size: (200, {})
        wait_until(lambda: stub.messages)
        assert stub.kinds.count("execution.heartbeat") - heard < calls
    assert client.flush()


def test_a_node_that_another_worker_has_got_is_stopped_and_records_nothing(connect: Connect) -> None:
    told: list[Any] = []
    client = connect(lease_seconds=60, on_fenced=told.append)

    def work(node: Node) -> None:
        with node:
            assert client.flush()
            take_over(node.id, {"by": "another"})
            node.info("of the old attempt")
            wait_until(lambda: node.is_fenced)
            node.info("told")

    with client.run(workflow="w") as run:
        node = run.node("a")
        with pytest.raises(NodeFenced) as raised:
            work(node)
        assert raised.value.node == node.id
        with run.node("b"):
            pass
    assert client.flush()
    row = NodeExecution.objects.get(pk=node.id)
    assert (row.status, row.attempt, row.output_data, row.logs.count()) == ("completed", 2, {"by": "another"}, 0)
    assert (told, WorkflowExecution.objects.get().status) == ([node], "completed")


def test_leaving_the_block_of_a_fenced_node_raises(connect: Connect) -> None:
    client = connect(lease_seconds=60)

    def work(node: Node) -> None:
        with node:
            assert client.flush()
            take_over(node.id, {"by": "another"})
            node.record("info", "as a log handler does", {})
            wait_until(lambda: node.is_fenced)

    with client.run(workflow="w") as run:
        with pytest.raises(NodeFenced):
            work(run.node("a"))
    assert client.flush()
    assert NodeExecution.objects.get().output_data == {"by": "another"}


def test_a_run_that_another_worker_has_got_is_stopped_with_its_nodes(connect: Connect) -> None:
    client = connect(lease_seconds=60)
    run = client.run(workflow="w")

    def work() -> None:
        with run, run.node("a"):
            assert client.flush()
            let_lapse(WorkflowExecutionLease.objects)
            row = WorkflowExecution.objects.get()
            row.retry()
            row.start(worker="another", lease_seconds=60)
            with run.node("b"):  # not yet told: it must not be added to the run of another worker
                wait_until(lambda: run.is_fenced)

    with pytest.raises(RunFenced):
        work()
    with pytest.raises(RunFenced):
        run.node("c")
    run.complete({"by": "the old one"})
    assert client.flush()
    row = WorkflowExecution.objects.get()
    assert (row.status, row.attempt, row.output_data, row.logs.count()) == ("running", 2, None, 0)
    assert [each.node_name for each in row.node_executions.all()] == ["a"]


def test_a_process_that_is_attached_with_the_runs_token_is_fenced_with_it(connect: Connect) -> None:
    client = connect(lease_seconds=60)
    run = client.run(workflow="w", graph=["a"])
    run.start()
    assert client.flush()
    assert run.token is not None
    let_lapse(WorkflowExecutionLease.objects)
    worker = connect()
    attached = worker.attach(run.id, token=run.token)
    with attached.node("a"):
        pass
    assert worker.flush()
    assert not NodeExecution.objects.exists()


def test_a_process_that_is_attached_records_nothing_more_of_any_node_after_one_is_fenced(connect: Connect) -> None:
    client = connect(lease_seconds=60)
    run = client.run(workflow="w", graph=["a", "b"])
    run.start()
    assert client.flush()
    assert run.token is not None
    worker = connect(lease_seconds=0)
    attached = worker.attach(run.id, token=run.token)
    began = attached.node("a")  # without a lease of its own
    began.start()
    assert worker.flush()
    let_lapse(WorkflowExecutionLease.objects)
    attached.node("b").start()
    assert worker.flush()
    with pytest.raises(RunFenced):
        began.info("late")
    assert worker.flush()
    assert not ExecutionLog.objects.exists()


def attached_and_replaced(connect: Connect, told: list[Any]) -> Node:
    """Return the node of an attached process without a lease of its own, after its run has got another worker."""
    client = connect(lease_seconds=60)
    run = client.run(workflow="w", graph=["a"])
    run.start()
    assert client.flush()
    assert run.token is not None
    worker = connect(on_fenced=told.append)
    node = worker.attach(run.id, token=run.token).node("a")
    node.start()
    assert worker.flush()
    let_lapse(WorkflowExecutionLease.objects)
    row = WorkflowExecution.objects.get()
    row.retry()
    row.start(worker="another", lease_seconds=60)
    row.node_executions.get().start()
    return node


@pytest.mark.parametrize("report", [lambda node: node.info("late"), lambda node: node.complete({"by": "the old one"})])
def test_an_attached_process_without_a_lease_records_nothing_more_and_is_told_by_its_next_report(
    connect: Connect, report: Callable[[Node], None]
) -> None:
    told: list[Any] = []
    node = attached_and_replaced(connect, told)
    report(node)
    assert node.client.flush()
    with pytest.raises(RunFenced):
        node.info("told")
    row = NodeExecution.objects.get()
    assert (told, row.status, row.output_data, row.logs.count()) == ([node.run], "running", None, 0)


@pytest.mark.slow
def test_an_attached_process_without_a_lease_that_reports_nothing_is_told_too(connect: Connect) -> None:
    told: list[Any] = []
    node = attached_and_replaced(connect, told)
    wait_until(lambda: told)
    assert (told, node.run.is_fenced) == ([node.run], True)


@pytest.mark.parametrize("report", [lambda run: run.info("late"), lambda run: run.node("a").start()])
def test_of_several_attached_with_one_token_all_that_are_left_are_told(
    connect: Connect, report: Callable[[Run], None]
) -> None:
    told: list[Any] = []
    client = connect(lease_seconds=60)
    run = client.run(workflow="w", graph=["a"])
    run.start()
    assert client.flush()
    assert run.token is not None
    worker = connect(on_fenced=told.append)
    first = worker.attach(run.id, token=run.token)
    first.info("of the first")
    assert worker.flush()
    del first
    left = [worker.attach(run.id, token=str(run.token)) for _each in range(2)]
    let_lapse(WorkflowExecutionLease.objects)
    report(left[0])
    assert worker.flush()
    assert sorted(map(id, told)) == sorted(map(id, left))
    late = worker.attach(run.id, token=run.token)
    late.info("of one that attached after that")
    assert worker.flush()
    assert late.is_fenced


def test_the_end_of_a_node_without_a_lease_leaves_that_of_its_run(connect: Connect) -> None:
    client = connect(lease_seconds=1)
    with client.run(workflow="w") as run:
        with run.node("a", lease_seconds=0) as node:
            node.info("of the run")
        assert client.flush()
        beat = WorkflowExecutionLease.objects.get().heartbeat_at
        wait_until(lambda: WorkflowExecutionLease.objects.get().heartbeat_at > beat)
    assert client.flush()
    assert (WorkflowExecution.objects.get().status, ExecutionLog.objects.count()) == ("completed", 1)


def test_a_refused_start_without_a_token_stops_no_other_run(connect: Connect) -> None:
    client = connect(lease_seconds=60)
    run = client.run(workflow="w")
    run.start()
    assert client.flush()
    other = connect()
    other.report([{"kind": "execution.start", "id": run.id, "attempt": 1, "worker": "another"}])
    assert other.flush()
    with other.run(workflow="w") as untold, untold.node("a"):
        pass
    assert other.flush()
    assert WorkflowExecution.objects.get(pk=untold.id).status == "completed"
    assert WorkflowExecution.objects.get(pk=run.id).status == "running"


def test_a_heartbeat_of_the_old_attempt_does_not_stop_the_new_one(connect: Connect) -> None:
    client = connect(lease_seconds=60)
    run = client.run(workflow="w")
    run.start()
    assert client.flush()
    let_lapse(WorkflowExecutionLease.objects)
    WorkflowExecution.objects.get().retry()
    resumed = client.resume(run.id)
    client.report([{"kind": "execution.heartbeat", "id": run.id, "token": run.token}])
    assert client.flush()
    assert run.is_fenced
    with resumed, resumed.node("b"):
        pass
    assert client.flush()
    row = WorkflowExecution.objects.get()
    assert (row.status, row.attempt) == ("completed", 2)
    assert row.node_executions.get(node_name="b").status == "completed"


@pytest.mark.parametrize("kind", ["log", "execution.start", "execution.complete"])
def test_what_an_ended_process_left_of_an_old_attempt_does_not_stop_the_new_one(
    connect: Connect, client_of: Connect, away: str, tmp_path: Path, kind: str
) -> None:
    first = connect(lease_seconds=60)
    run = first.run(workflow="w")
    run.start()
    assert first.flush()
    let_lapse(WorkflowExecutionLease.objects)
    WorkflowExecution.objects.get().retry()
    second = connect(url=away, name="test", spool=tmp_path, lease_seconds=60)
    resumed = second.resume(run.id)
    token = str(uuid4()) if kind == "execution.start" else run.token  # a start that never arrived
    left = {"kind": kind, "id": uuid7() if kind == "log" else run.id, "token": token}
    of_line = {"workflow_execution": run.id, "level": "info", "message": "of the old attempt"}
    ended = client_of(away)
    ended.report([left | (of_line if kind == "log" else {"attempt": 1})])
    ended.close(0)
    with resumed, resumed.node("a") as node:
        node.info("of the new attempt")
    assert second.flush()
    row = WorkflowExecution.objects.get()
    assert (row.status, row.attempt, row.node_executions.get().status) == ("completed", 2, "completed")
    assert list(ExecutionLog.objects.values_list("message", flat=True)) == ["of the new attempt"]


def test_a_long_lease_does_not_delay_what_is_to_be_called_later(client_of: Connect, stub: Stub) -> None:
    client = client_of(stub.url, lease_seconds=86_400)
    client.run(workflow="w").start()
    assert client.flush()
    called = Event()
    client.call_later(0.05, lambda _http: called.set())
    assert called.wait(60)


def test_a_coroutine_is_stopped_too(connect: Connect) -> None:
    client = connect(lease_seconds=60)

    def lose(node: Node) -> None:
        try:
            assert client.flush()
            take_over(node.id, {"by": "another"})
            node.record("info", "as a log handler does", {})
            wait_until(lambda: node.is_fenced)
        finally:
            connections.close_all()

    @client.node
    async def load() -> None:
        node = current_node()
        assert node is not None
        await asyncio.to_thread(lose, node)
        node.info("told")

    @client.workflow("w")
    async def etl() -> None:
        await load()

    with pytest.raises(NodeFenced):
        asyncio.run(etl())
    assert client.flush()
    assert NodeExecution.objects.get().output_data == {"by": "another"}


def test_in_process_it_is_the_same(transactional_db: None, owner: Any) -> None:
    def work(client: Client, node: Node) -> None:
        with node:
            assert client.flush(60)
            take_over(node.id, {"by": "another"})
            node.info("late")
            wait_until(lambda: node.is_fenced)
            node.info("told")

    with reporting.client(owner, lease_seconds=60) as client, client.run(workflow="w") as run:
        with pytest.raises(NodeFenced):
            work(client, run.node("a"))
        assert client.flush(60)
    assert NodeExecution.objects.get().output_data == {"by": "another"}
