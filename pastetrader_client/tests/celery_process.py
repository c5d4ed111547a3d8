"""A process of a Celery application whose messages nobody takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any
from uuid import UUID

from celery import Celery, chain, signals  # type: ignore[import-untyped]  # it has no type hints

from executions.models import WorkflowExecution
from pastetrader_client import Client
from pastetrader_client.celery import Recorder
from pastetrader_client.celery_headers import HEADERS, RUN

type Message = tuple[dict[str, Any], Any]


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
