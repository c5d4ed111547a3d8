"""The graph of Celery's runs: every process that creates a run has reported the chain or chord that it begins with."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import get_ident
from typing import Any
from uuid import UUID

import pytest
from celery import Celery, chain, chord, group, signals  # type: ignore[import-untyped]  # it has no type hints

from executions.models import WorkflowExecution
from pastetrader_client import Client
from pastetrader_client.celery import Recorder
from pastetrader_client.celery_headers import GRAPH, HEADERS, RUN
from pastetrader_client.tests.stub import Stub
from pastetrader_client.tests.waiting import close
from tokens.models import Token
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

type Message = tuple[dict[str, Any], Any]
TASKS = [f"task {number}" for number in range(120)]


@pytest.fixture
def shop() -> Celery:
    """Return an application whose messages nobody takes."""
    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    for name in ("add", "total", "price", *TASKS):
        app.task(name=name)(do_nothing)
    return app


def do_nothing() -> None:
    pass


class Process:
    """A process that sends and executes tasks of the application."""

    def __init__(self, app: Celery, client: Client) -> None:
        self.app, self.client = app, client
        self.recorder = Recorder(app, client)

    def sig(self, *names: str) -> list[Any]:
        return [self.app.tasks[name].si() for name in names]

    def send(self, *names: str) -> Message:
        """Send a chain of these tasks; return the message of the first."""
        return self.send_canvas(chain(self.sig(*names)))[0]

    def send_canvas(self, canvas: Any) -> list[Message]:
        with self._record() as messages:
            canvas.apply_async()
        return messages

    @contextmanager
    def _record(self) -> Iterator[list[Message]]:
        messages: list[Message] = []
        own = get_ident()

        def note(sender: str, headers: dict[str, Any], body: Any, **more: Any) -> None:
            if get_ident() != own:  # of another process of the test
                return
            self.recorder.on_publish(sender=sender, headers=headers, body=body, **more)
            messages.append((dict(headers), body))

        signals.before_task_publish.connect(note, weak=False)
        try:
            yield messages
        finally:
            signals.before_task_publish.disconnect(note)

    def begin(self, message: Message) -> Any:
        """Begin with the task of a message; return its request."""
        headers, (args, kwargs, embed) = message
        task = self.app.tasks[headers["task"]]
        task.push_request(args=args, kwargs=kwargs, **headers, **embed)
        request = task.request
        self.recorder.on_start(task_id=headers["id"], task=task, args=args, kwargs=kwargs)
        self.recorder.on_leave(task_id=headers["id"])
        task.pop_request()
        return request


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


def next_task(name: str, message: Message) -> Message:
    """Return the message of a task that the task of another message sends."""
    before, _body = message
    inherited = {header: before[header] for header in HEADERS if header in before}
    own = {"id": f"{before['id']}.{name}", "task": name, "root_id": before["root_id"], "parent_id": before["id"]}
    return {**own, **inherited, "retries": 0, "group": None}, ([], {}, {})


def without_headers(message: Message) -> Message:
    """Return the message as a process sends it that does not report."""
    return {name: value for name, value in message[0].items() if name not in HEADERS}, message[1]


def edges_of(message: Message) -> list[str]:
    """Return the edges in the graph of the run of a message."""
    graph = WorkflowExecution.objects.get(pk=UUID(message[0][RUN])).graph
    assert graph is not None
    names = {node["id"]: node["name"] for node in graph.nodes}
    return sorted(f"{names[edge['source_node']]}>{names[edge['target_node']]}" for edge in graph.edges)


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

    def test_so_has_one_of_a_chain_whose_task_is_there_twice(self, start: Callable[..., Process]) -> None:
        sender = start()
        message = sender.send("add", "add", "total", "add", "price")
        assert sender.client.flush()
        assert edges_of(message) == ["add>price", "add>total"]

    def test_a_process_that_executes_a_later_task_may_report_first(self, start: Callable[..., Process]) -> None:
        sender, worker = start(), start()
        sender.client.call_later(0, lambda _http: time.sleep(1))
        time.sleep(0.2)  # the sending thread of the sender is held up
        message = sender.send("add", "total", "price")
        request = worker.begin(next_task("total", message))
        assert worker.client.flush()
        assert edges_of(message) == ["add>total", "total>price"]
        assert getattr(request, GRAPH) == message[0][GRAPH]
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

    def test_a_refused_definition_is_reported_again_with_the_next_run(
        self, start: Callable[..., Process], owner: Any
    ) -> None:
        WorkflowFactory(owner=owner, name="add", chain=["add"])
        sender = start(scopes=["executions:report"])
        refused = sender.send("add", "total")
        assert sender.client.flush()
        Token.objects.update(scopes=["executions:report", "workflows:write"])
        taken = sender.send("add", "total")
        assert sender.client.flush()
        assert (edges_of(refused), edges_of(taken)) == ([], ["add>total"])

    def test_a_graph_that_was_declared_and_refused_is_declared_again(
        self, connect: Callable[..., Client], owner: Any
    ) -> None:
        WorkflowFactory(owner=owner, name="w", chain=["a"])
        client = connect(scopes=["executions:report"])
        for scopes in (["executions:report", "workflows:write"], None):
            with client.run(workflow="w", graph=["a", "b"]):
                pass
            assert client.flush()
            Token.objects.update(scopes=scopes or [])
        assert Workflow.objects.get().edges.count() == 1

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
