"""Queued runs: their start waits for its turn, in the thread of the engine that calls it."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import transaction

from executions import reporting
from executions.models import WorkflowExecution
from executions.models.lease import WorkflowExecutionLease
from pastetrader_client import Client, Run, RunCancelled, RunFenced, TurnRefused, TurnTimedOut
from pastetrader_client.tests.stub import Stub
from pastetrader_client.tests.waiting import wait_until
from tokens.models import Scope

type Connect = Callable[..., Client]


class Engine(threading.Thread):
    """A thread that executes a queued run. `order` are the runs that have started, of all threads."""

    def __init__(self, run: Run, order: list[str], work: Callable[[], object] = lambda: None) -> None:
        super().__init__(daemon=True)
        self.of, self.order, self.work = run, order, work
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            with self.of:
                self.order.append(self.of.id)
                self.work()
        except (RunCancelled, RunFenced, TurnRefused, TurnTimedOut) as error:
            self.error = error


def waits(run: Run) -> bool:
    return WorkflowExecution.objects.filter(pk=run.id, status="pending", is_queued=True).exists()


def status(run: Run) -> str:
    return str(WorkflowExecution.objects.get(pk=run.id).status)


@pytest.mark.slow
def test_a_queued_run_starts_when_the_one_before_it_has_ended(connect: Connect) -> None:
    client, order = connect(), list[str]()
    with client.run(workflow="w", concurrent=False) as first:
        engine = Engine(client.run(workflow="w", queue=True, context={"of": "the second"}), order)
        wait_until(lambda: waits(engine.of))
        first.info("goes on while another thread waits")
        assert client.flush()
        assert (status(first), first.has_ended, order) == ("running", False, [])
    engine.join(60)
    assert (order, engine.error, client.flush()) == ([engine.of.id], None, True)
    rows = list(WorkflowExecution.objects.order_by("created_at"))
    assert [row.status for row in rows] == ["completed"] * 2
    assert rows[1].started_at >= rows[0].ended_at
    assert (rows[1].context, rows[1].version) == ({"of": "the second"}, 3)


@pytest.mark.slow
def test_queued_runs_of_several_clients_start_in_their_order(connect: Connect) -> None:
    first, order, engines = connect(), list[str](), list[Engine]()
    with first.run(workflow="w", concurrent=False):
        for client in (first, connect(), connect()):
            engines.append(Engine(client.run(workflow="w", queue=True), order, lambda: time.sleep(0.05)))
            wait_until(lambda: waits(engines[-1].of))
    for engine in engines:
        engine.join(60)
    assert order == [engine.of.id for engine in engines]


def test_a_queued_run_starts_at_once_if_no_other_runs(connect: Connect) -> None:
    client = connect()
    with client.run(workflow="w", queue=True) as run:
        assert status(run) == "running"
    assert client.flush()
    assert status(run) == "completed"


def test_a_queued_run_starts_under_the_lease_of_the_client(connect: Connect) -> None:
    client = connect(lease_seconds=1)
    with client.run(workflow="w", queue=True) as run:
        lease = WorkflowExecutionLease.objects.get()
        assert (lease.worker, str(lease.token)) == (client.worker, run.token)
        wait_until(lambda: WorkflowExecutionLease.objects.get().heartbeat_at > lease.heartbeat_at)
    assert client.flush()


def test_a_queued_run_whose_turn_does_not_come_in_time_is_cancelled(connect: Connect) -> None:
    client = connect()
    with client.run(workflow="w", concurrent=False):
        late = client.run(workflow="w", queue=True, queue_seconds=0.5)
        with pytest.raises(TurnTimedOut) as raised, late:
            pytest.fail("it was not its turn")
        assert raised.value.run == late.id
        assert client.flush()
        assert status(late) == "cancelled"
    with client.run(workflow="w", queue=True, queue_seconds=60):  # which does not wait for it
        pass


def test_without_the_scope_to_cancel_it_one_that_is_late_keeps_its_place(connect: Connect) -> None:
    client = connect(scopes=[scope for scope in Scope.values if scope != Scope.EXECUTIONS_CONTROL])
    with client.run(workflow="w", concurrent=False):
        late = client.run(workflow="w", queue=True, queue_seconds=0.5)
        with pytest.raises(TurnTimedOut, match="Without that the run keeps its place in the queue"), late:
            pytest.fail("it was not its turn")
        assert client.flush()
        assert waits(late)


@pytest.mark.slow
def test_a_queued_run_that_is_cancelled_in_the_ledger_stops_waiting(connect: Connect) -> None:
    told: list[Any] = []
    client = connect(on_cancel=told.append)
    with client.run(workflow="w", concurrent=False):
        engine = Engine(client.run(workflow="w", queue=True), [])
        wait_until(lambda: waits(engine.of))
        WorkflowExecution.objects.get(pk=engine.of.id).cancel()
        engine.join(60)
    assert (type(engine.error), told) == (RunCancelled, [engine.of])


@pytest.mark.slow
def test_a_queued_run_that_another_worker_has_started_is_fenced(connect: Connect) -> None:
    client = connect(lease_seconds=60)
    with suppress(RunCancelled), client.run(workflow="w", concurrent=False) as first:
        engine = Engine(client.run(workflow="w", queue=True), [])
        wait_until(lambda: waits(engine.of))
        with transaction.atomic():  # the waiting thread asks before or after, never in between
            WorkflowExecution.objects.get(pk=first.id).cancel()
            WorkflowExecution.objects.get(pk=engine.of.id).start(worker="another", lease_seconds=60)
        engine.join(60)
    assert (type(engine.error), engine.order) == (RunFenced, [])
    assert client.flush()
    lease = WorkflowExecutionLease.objects.get(workflow_execution=engine.of.id)
    assert (status(engine.of), lease.worker) == ("running", "another")


def test_a_queued_run_that_the_ledger_refuses_raises(connect: Connect, owner: Any) -> None:
    client = connect(scopes=[Scope.EXECUTIONS_REPORT])  # it may make no workflow
    with pytest.raises(TurnRefused, match="not started"), client.run(workflow="w", queue=True):
        pytest.fail("it was refused")


def test_while_the_ledger_is_away_it_waits(client_of: Connect, away: str) -> None:
    client = client_of(away)
    began = time.monotonic()
    with pytest.raises(TurnTimedOut), client.run(workflow="w", queue=True, queue_seconds=0.5):
        pytest.fail("the ledger is away")
    assert 0.5 <= time.monotonic() - began < 30
    client.close(0)
    kept = b"".join(path.read_bytes() for path in client._sender.spool.directory.iterdir() if path.is_file())
    assert b"execution.start" not in kept


def test_a_wrong_token_does_not_let_it_wait_for_ever(client_of: Connect, stub: Stub) -> None:
    stub.reply = lambda _size: (401, {})
    with pytest.raises(TurnRefused, match="401"), client_of(stub.url).run(workflow="w", queue=True):
        pytest.fail("the token is wrong")


@pytest.mark.slow
def test_coroutines_go_on_while_one_waits(connect: Connect) -> None:
    client, order = connect(), list[str]()

    @client.workflow("w", queue=True)
    async def queued(name: str) -> None:
        order.append(name)
        await asyncio.sleep(0.05)
        order.append(name)

    async def main() -> None:
        await asyncio.gather(queued("a"), queued("b"), ticking())

    async def ticking() -> None:
        for _tick in range(10):
            await asyncio.sleep(0.01)
        order.append("tick")

    asyncio.run(main())
    assert client.flush()
    names = [each for each in order if each != "tick"]
    assert names in (["a", "a", "b", "b"], ["b", "b", "a", "a"])
    assert WorkflowExecution.objects.filter(status="completed").count() == 2


def test_a_coroutine_that_is_cancelled_while_it_waits_cancels_its_run(connect: Connect) -> None:
    client = connect()

    @client.workflow("w", queue=True)
    async def queued() -> None:
        pytest.fail("it was not its turn")

    async def main() -> None:
        task = asyncio.create_task(queued())
        await asyncio.to_thread(wait_until, WorkflowExecution.objects.filter(is_queued=True).exists)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    with client.run(workflow="w", concurrent=False):
        asyncio.run(main())
        assert client.flush()
        wait_until(WorkflowExecution.objects.filter(is_queued=True, status="cancelled").exists)


@pytest.mark.slow
def test_in_process_it_is_the_same(transactional_db: None, owner: Any) -> None:
    with reporting.client(owner) as client:
        with client.run(workflow="w", concurrent=False):
            engine = Engine(client.run(workflow="w", queue=True), [])
            wait_until(lambda: waits(engine.of))
        engine.join(60)
        assert client.flush(60)
    assert engine.error is None
    assert status(engine.of) == "completed"
