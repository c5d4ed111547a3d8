"""The graph of Celery's runs: every process that creates a run has reported the chain or chord that it begins with."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from celery import Celery, chord, group  # type: ignore[import-untyped]  # it has no type hints

from executions.models import WorkflowExecution
from pastetrader_client import Client, definitions
from pastetrader_client.celery_headers import GRAPH, HEADERS, RUN
from pastetrader_client.tests.celery_process import (
    Message,
    Process,
    do_nothing,
    edges_of,
    next_task,
    without_headers,
)
from pastetrader_client.tests.stub import Stub
from pastetrader_client.tests.waiting import close
from tokens.models import Token
from workflows.api import views
from workflows.api.serializers import EnsureSerializer
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

TASKS = [f"task {number}" for number in range(120)]


@pytest.fixture
def shop() -> Celery:
    """Return an application whose messages nobody takes."""
    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    for name in ("add", "total", "price", *TASKS):
        app.task(name=name)(do_nothing)
    return app


class EarlierSerializer(EnsureSerializer):
    """The body of `workflow.ensure` as an earlier version of the ledger takes it."""

    def get_fields(self) -> dict[str, Any]:
        return {name: field for name, field in super().get_fields().items() if name != "only_add"}


@pytest.fixture
def start(shop: Celery, connect: Callable[..., Client]) -> Iterator[Callable[..., Process]]:
    """Return a function that starts a process. Its thread may be looking whether a run has ended when the test ends."""
    clients: list[Client] = []

    def start(**options: Any) -> Process:
        clients.append(connect(**options))
        return Process(shop, clients[-1])

    yield start
    for client in clients:
        close(client)


class TestTheSender:
    @pytest.fixture
    def sender(self, shop: Celery, stub: Stub, client_of: Callable[..., Client]) -> Process:
        return Process(shop, client_of(stub.url))

    def test_the_graph_is_a_fact_before_the_run_and_is_reported_once(self, sender: Process, stub: Stub) -> None:
        for _time in range(2):
            sender.send("add", "total", "price")
        assert sender.client.flush()
        assert stub.kinds == ["workflow.ensure", *["execution.create"] * 2, *["node.create"] * 2]
        assert stub.facts[0]["workflow"] == {
            "name": "add", "only_add": True,
            "nodes": [{"name": name, "node_type": "tool"} for name in ("add", "total", "price")],
            "edges": [
                {"source_node": "add", "target_node": "total"}, {"source_node": "total", "target_node": "price"},
            ],
        }  # fmt: skip
        sender.send("add", "price")
        assert sender.client.flush()
        assert stub.kinds[5:] == ["workflow.ensure", "execution.create", "node.create"]

    def test_the_message_has_the_stages(self, sender: Process) -> None:
        (headers, _body), *_more = sender.send_canvas(chord(sender.sig("add", "add"), *sender.sig("total")))
        assert json.loads(headers[GRAPH]) == [["add"], ["total"]]
        headers, _body = sender.send("add", "add", "price")
        assert json.loads(headers[GRAPH]) == [["add"], ["add"], ["price"]]

    @pytest.mark.parametrize(
        "names", [TASKS[:101], [f"{'x' * 500} {number}" for number in range(8)]], ids=["100 names", "4,000 bytes"]
    )
    def test_too_many_stages_are_reported_and_not_sent(
        self, sender: Process, stub: Stub, shop: Celery, names: list[str]
    ) -> None:
        for name in names:
            shop.task(name=name)(do_nothing)
        headers, _body = sender.send(*names)
        assert (GRAPH in headers, RUN in headers) == (False, True)
        assert sender.client.flush()
        assert len(stub.facts[0]["workflow"]["edges"]) == len(names) - 1


class TestTheLedger:
    def test_the_first_run_of_a_chain_has_its_edges(self, start: Callable[..., Process]) -> None:
        """Functions of call_later() hold up the sending thread for longer than they may at once."""
        sender = start()
        sender.client.call_later(0, lambda _http: time.sleep(0.7))
        message = sender.send("add", "total", "price")
        assert sender.client.flush()
        assert edges_of(message) == ["add>total", "total>price"]

    def test_a_chain_with_a_task_twice_has_one_node_for_it(self, start: Callable[..., Process]) -> None:
        sender = start()
        message = sender.send("add", "add", "total", "add", "price")
        assert sender.client.flush()
        assert edges_of(message) == ["add>price", "add>total"]

    def test_a_process_that_executes_a_later_task_may_report_first(self, start: Callable[..., Process]) -> None:
        sender, worker = start(), start()
        is_held, may_go_on = Event(), Event()

        def hold(_http: object) -> None:
            is_held.set()
            may_go_on.wait(60)

        sender.client.call_later(0, hold)
        assert is_held.wait(60)
        message = sender.send("add", "total", "price")
        request = worker.begin(next_task("total", message))
        assert worker.client.flush()
        assert edges_of(message) == ["add>total", "total>price"]
        assert getattr(request, GRAPH) == message[0][GRAPH]
        may_go_on.set()
        assert sender.client.flush()
        assert WorkflowExecution.objects.count() == 1

    def test_a_sender_that_does_not_report_leaves_the_graph_to_the_worker_of_the_first_task(
        self, start: Callable[..., Process]
    ) -> None:
        workers = [start(), start()]
        message = without_headers(workers[0].send("add", "total"))
        request = workers[0].begin(message)
        sent = {name: getattr(request, name) for name in HEADERS}
        second = next_task("total", (message[0] | sent, message[1]))
        workers[1].begin(second)
        assert workers[1].client.flush()
        assert edges_of(second) == ["add>total"]

    @pytest.mark.parametrize(
        "header", ["", "[", "5", "{}", "[5]", '[["add"], [5]]', "[" * 3_900, "x" * 5_000, 7, None], ids=range(10)
    )
    def test_a_header_that_is_none_is_left_aside(self, start: Callable[..., Process], header: Any) -> None:
        sender = start()
        message = sender.send("add", "total")
        assert sender.client.flush()
        later = next_task("total", message)
        later[0][GRAPH] = header
        worker = start()
        worker.begin(later)
        assert worker.client.flush()
        assert WorkflowExecution.objects.get().status == "running"

    def test_a_group_of_different_tasks_is_a_run_of_the_workflow_of_the_first(
        self, start: Callable[..., Process]
    ) -> None:
        sender, worker = start(), start()
        messages = sender.send_canvas(group(sender.sig("add", "price")))
        assert sender.client.flush()
        for message in messages:
            worker.begin(message)
            assert worker.client.flush()
        run = WorkflowExecution.objects.get()
        assert run.workflow_name == "add"
        assert set(run.node_executions.values_list("node_name", "status")) == {("add", "running"), ("price", "running")}

    def test_of_a_group_whose_sender_does_not_report_each_task_is_recorded(self, start: Callable[..., Process]) -> None:
        workers = [start() for _ in range(3)]
        messages = workers[0].send_canvas(group(workers[0].sig("add", "price", "add")))
        assert workers[0].client.flush()
        WorkflowExecution.objects.all().delete()
        for worker, message in zip(workers, messages, strict=True):
            worker.begin(without_headers(message))
            assert worker.client.flush()
        runs = WorkflowExecution.objects.all()
        assert sorted((run.workflow_name, run.node_executions.count()) for run in runs) == [("add", 2), ("price", 1)]

    def test_a_refused_definition_is_reported_again_with_a_later_run(
        self, start: Callable[..., Process], owner: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(definitions, "AGAIN", 0.0)
        WorkflowFactory(owner=owner, name="add", chain=["add"])
        sender = start(scopes=["executions:report"])
        refused = sender.send("add", "total")
        assert sender.client.flush()
        Token.objects.update(scopes=["executions:report", "workflows:write"])
        taken = sender.send("add", "total")
        assert sender.client.flush()
        assert (edges_of(refused), edges_of(taken)) == ([], ["add>total"])

    def test_a_graph_that_was_declared_and_refused_is_declared_again(
        self, connect: Callable[..., Client], owner: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(definitions, "AGAIN", 0.0)
        WorkflowFactory(owner=owner, name="w", chain=["a"])
        client = connect(scopes=["executions:report"])
        for scopes in (["executions:report", "workflows:write"], None):
            with client.run(workflow="w", graph=["a", "b"]):
                pass
            assert client.flush()
            Token.objects.update(scopes=scopes or [])
        assert Workflow.objects.get().edges.count() == 1

    def test_more_chains_than_one_call_may_define_are_defined_by_several(self, start: Callable[..., Process]) -> None:
        sender = start()
        messages = [sender.send("add", name) for name in TASKS[:25]]
        assert sender.client.flush()
        assert Workflow.objects.get().edges.count() == 25
        assert f"add>{TASKS[24]}" in edges_of(messages[24])

    def test_a_workflow_that_was_deleted_gets_its_edges_again(self, start: Callable[..., Process]) -> None:
        sender = start()
        sender.send("add", "total")
        assert sender.client.flush()
        Workflow.objects.get().soft_delete()
        for _run in range(2):
            last = sender.send("add", "total")
            assert sender.client.flush()
        assert edges_of(last) == ["add>total"]

    def test_a_ledger_of_an_earlier_version_records_the_run_without_edges(
        self, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(views, "EnsureSerializer", EarlierSerializer)
        sender = start()
        message = sender.send("add", "total")
        sender.begin(message)
        sender.begin(next_task("total", message))
        assert sender.client.flush()
        run = WorkflowExecution.objects.get()
        assert (edges_of(message), run.status) == ([], "running")
        assert set(run.node_executions.values_list("node_name", "status")) == {("add", "running"), ("total", "running")}
        assert "the ledger refused workflow.ensure of workflow add: invalid: /workflow/only_add" in caplog.text

    def test_each_of_8_processes_adds_its_chains_to_a_workflow(self, start: Callable[..., Process]) -> None:
        processes = [start() for _ in range(8)]

        def work(number: int) -> list[Message]:
            names = TASKS[10 * number : 10 * number + 10]
            return [processes[number].send("add", name, "total") for name in names]

        with ThreadPoolExecutor(8) as threads:
            sent = [*threads.map(work, range(8))]
        assert all(process.client.flush() for process in processes)
        for number, messages in enumerate(sent):
            for name, message in zip(TASKS[10 * number :], messages, strict=False):
                assert {f"add>{name}", f"{name}>total"} <= set(edges_of(message))
        assert Workflow.objects.get().edges.count() == 160
