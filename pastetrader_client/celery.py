"""Celery: `instrument(app)` records tasks. A task becomes a node of a run; what a task sends belongs to its run, and so
do the parts of a chain, a group and a chord.

Headers of the messages name the run. If a message has none, because its sender does not report, the worker derives the
id of the run from the root id of the task or the id of its group.
"""

import os
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from functools import wraps
from threading import Lock
from typing import Any

from celery import Celery, current_task, signals  # type: ignore[import-untyped]  # it has no type hints
from celery.app.task import Context  # type: ignore[import-untyped]  # it has no type hints
from celery.states import IGNORED  # type: ignore[import-untyped]  # it has no type hints

from .bounded_dict import remember
from .celery_graphs import header_of, stages_in, stages_of
from .celery_headers import GRAPH, ROOT, RUN, SENT, WORKFLOW, fill_headers, graph_of, inherit, run_of
from .celery_requests import is_alone, key_of, root_of, traceback_of
from .celery_run_ends import RunEnds
from .client import Client
from .encoding import moment
from .graphs import Stages
from .ids import derive, uuid7
from .log_handler import CurrentNodeHandler
from .runs import Node, Run, current_node

NESTING = "replaced_task_nesting"  # Celery's header: how many tasks this one replaces
UNLIMITED = 1_000  # retries of a task with max_retries=None
MOST_GROUPS = 1_000  # groups whose runs a sending process remembers
MOST_TASKS = 10_000  # tasks without a known end
RETRY_SECONDS = 2.0  # wait of a retry for the delivery of its report
ASKED = "The task asked for a retry."
_recorders: "list[Recorder]" = []  # at most one: signals are sent for the tasks of all apps of the process


def instrument(app: Celery, client: Client | None = None, *, timeout_seconds: int = 0) -> "Recorder":
    """Record the tasks of this process. Without a client, PASTETRADER_URL and PASTETRADER_TOKEN name the ledger. The
    token needs the scopes executions:read, executions:report, executions:control and workflows:write. The ledger ends a
    run that takes longer than `timeout_seconds`, unless they are 0. A second call returns the recorder of
    the first. Raises ValueError if there is no ledger, or if the process records another app."""
    if not _recorders:
        recorder = Recorder(app, client or _client_of_environment(), timeout_seconds)
        recorder.connect()
        _recorders.append(recorder)
    if _recorders[0].app is not app:
        raise ValueError("This process records another Celery app already. Call instrument() for one of them.")
    return _recorders[0]


def _client_of_environment() -> Client:
    url, token = os.environ.get("PASTETRADER_URL", ""), os.environ.get("PASTETRADER_TOKEN", "")
    if not url or not token:
        raise ValueError("Set PASTETRADER_URL and PASTETRADER_TOKEN, or call instrument(app, client).")
    return Client(url, token, name="celery", sigterm=False)  # Celery handles SIGTERM


class Recorder:
    """The receivers of Celery's signals, with the nodes that this process executes."""

    def __init__(self, app: Celery, client: Client, timeout_seconds: int = 0) -> None:
        self.app, self.client = app, client
        self.metadata = {"timeout_seconds": timeout_seconds} if timeout_seconds else {}
        self.ends = RunEnds(client)
        self.nodes: dict[str, Node] = {}  # by the id of the task
        self.left: dict[str, Node | None] = {}  # nodes without a reported end when their task was left
        self.received: dict[str, Any] = {}  # requests of tasks, in the worker's main process
        self.retried: set[str] = set()  # received tasks whose next attempt was sent
        self.errors: dict[str, BaseException | str] = {}  # the errors with which tasks called retry()
        self.groups: OrderedDict[str, tuple[str, str]] = OrderedDict()  # run and workflow of sent groups
        self.lock = Lock()

    def connect(self) -> None:
        """Connect to the signals, and cancel tasks of runs that are cancelled in the ledger."""
        for signal, receiver in (
            (signals.before_task_publish, self.on_publish),
            (signals.task_received, self.on_receive),
            (signals.task_prerun, self.on_start),
            (signals.task_success, self.on_success),
            (signals.task_failure, self.on_failure),
            (signals.task_internal_error, self.on_failure),
            (signals.task_retry, self.on_retry),
            (signals.task_revoked, self.on_revoke),
            (signals.task_postrun, self.on_leave),
            (signals.after_setup_logger, self.on_logger),
            (signals.worker_process_shutdown, self.on_shutdown),
            (signals.worker_shutdown, self.on_shutdown),
        ):
            signal.connect(receiver, weak=False)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.begin_in_child)
        if self.client.on_cancel is None:
            self.client.on_cancel = self.revoke_tasks
        if self.client.on_node_cancel is None:
            self.client.on_node_cancel = self.revoke_task

    def begin_in_child(self) -> None:
        """Reset the state in a forked process: the parent ends its own runs."""
        self.lock = Lock()
        self.ends.begin()

    # --- in the process that sends --------------------------------------------
    def on_publish(self, sender: str, headers: dict[str, Any], body: Any, **_kwargs: Any) -> None:
        """Create the node and, with its first task, the run."""
        inherit(headers, current_task.request if current_task else None)
        is_first = RUN not in headers
        if is_first:
            headers[RUN], headers[WORKFLOW] = self._run_to_send(headers, sender)
        headers.setdefault(ROOT, headers.get("group") or headers["root_id"])
        headers.setdefault(SENT, moment(time.time_ns()))
        if headers.get("retries"):
            self._retry(headers["id"], self.errors.get(headers["id"]) or sys.exception() or ASKED)
            return
        args, kwargs, embed = body if isinstance(body, tuple | list) and len(body) == 3 else ((), {}, {})
        if is_first:
            stages = stages_of(sender, embed.get("chain"), embed.get("chord"))
            if header := header_of(stages):
                headers[GRAPH] = header
        else:
            stages = stages_in(headers.get(GRAPH))
        run = self._run(headers[RUN], headers[WORKFLOW], headers[ROOT], headers[SENT], stages)
        self._node(run, key_of(headers["id"], headers.get(NESTING)), sender, args, kwargs).create()

    def _run_to_send(self, headers: Mapping[str, Any], task: str) -> tuple[str, str]:
        """Return the id and the workflow of the run: new ones, or those of the tasks sent before in the same group."""
        new = uuid7(), task
        if (group := headers.get("group")) is None:
            return new
        with self.lock:
            found = self.groups.setdefault(group, new)
            if len(self.groups) > MOST_GROUPS:
                self.groups.popitem(last=False)
        return found

    # --- in a worker -----------------------------------------------------------
    def on_receive(self, request: Any, **_kwargs: Any) -> None:
        """Watch the run. Only the worker's main process sends this signal."""
        found = Context(request.request_dict)
        remember(self.received, request.id, found, most=MOST_TASKS)
        self.ends.watch(run_of(found))

    def on_start(self, task_id: str, task: Any, args: Any, kwargs: Any, **_kwargs: Any) -> None:
        request = task.request
        fill_headers(request, task.name)
        node = self._node_of(task.name, request, args, kwargs)
        node.run.start(at=getattr(request, SENT))
        if node.attempt > 1:
            self._report_earlier_attempt(node)
        self.nodes[task_id] = node
        self.left.pop(task_id, None)
        self._note_errors_of_retries(task)
        node.__enter__()

    def on_success(self, sender: Any, result: Any, **_kwargs: Any) -> None:
        if (node := self.nodes.get(sender.request.id)) is not None:
            node.complete(result)

    def on_failure(
        self, sender: Any, task_id: str, exception: BaseException, einfo: Any, request: Any = None, **_kwargs: Any
    ) -> None:
        """Fail the node. A process sends this signal for a task that it executes, or has left because the result could
        not be stored. The worker's main process sends it for a task whose child was killed or took too long."""
        node = self.nodes.get(task_id) or self.left.pop(task_id, None)
        if node is None and (node := self._node_elsewhere(sender.name, task_id, request)) is None:
            return  # its failure was reported before
        node.fail(exception, traceback=traceback_of(einfo))
        self.ends.expect(node.run.id)

    def _node_elsewhere(self, name: str, task_id: str, request: Any) -> Node | None:
        """Return the node of a task that another process executes, None if the task is unknown. Report the start again,
        because a killed child may not have delivered it."""
        found = self.received.pop(task_id, None) or (Context(request) if request else None)
        if found is None:
            return None
        node = self._node_of(name, found, found.args, found.kwargs)
        node.run.start(at=getattr(found, SENT, None))
        node.start()
        return node

    def on_retry(self, request: Any, reason: Any, einfo: Any, **_kwargs: Any) -> None:
        self._retry(request.id, getattr(reason, "exc", None) or str(reason), traceback_of(einfo))

    def _retry(self, task_id: str, error: BaseException | str, traceback: str | None = None) -> None:
        """Report the retry of a task, once, before its message is sent, and wait for the delivery: another process may
        start the next attempt at once."""
        node = self.nodes.get(task_id)
        if node is None or task_id in self.retried:
            return
        self.retried.add(task_id)
        node.fail(error, traceback=traceback)
        node.retry()
        self.client.flush(RETRY_SECONDS)

    def _note_errors_of_retries(self, task: Any) -> None:
        """Wrap the task's retry() to note its exception, because no signal before the message has it."""
        if "retry" in vars(task):
            return
        retry = task.retry

        @wraps(retry)
        def noting(args: Any = None, kwargs: Any = None, exc: Any = None, *more: Any, **options: Any) -> Any:
            if exc is not None:
                self.errors[task.request.id] = exc
            return retry(args, kwargs, exc, *more, **options)

        task.retry = noting

    def _report_earlier_attempt(self, node: Node) -> None:
        """Report that the previous attempt failed and is retried, in case its process has not delivered this yet. A
        fact that is reported twice changes nothing."""
        before = {"id": node.id, "workflow_execution": node.run.id, "attempt": node.attempt - 1}
        self.client.report([
            {"kind": "node.fail", "error_message": ASKED, **before}, {"kind": "node.retry", **before},
        ])  # fmt: skip

    def on_revoke(self, sender: Any, request: Any, terminated: bool, expired: bool, **_kwargs: Any) -> None:
        """Cancel the node. Only the worker's main process sends this signal."""
        node = self._node_of(sender.name, request, request.args or (), request.kwargs or {})
        node.cancel("The task expired." if expired else "The task was revoked.")
        self.ends.expect(node.run.id)

    def on_leave(self, task_id: str, state: str | None = None, **_kwargs: Any) -> None:
        """Leave the node. A task that raised Ignore is completed: a replaced task raises it."""
        was_retried = task_id in self.retried
        self.retried.discard(task_id)
        self.errors.pop(task_id, None)
        self.received.pop(task_id, None)
        if (node := self.nodes.pop(task_id, None)) is not None:
            node.leave()
            if not node.has_ended and not was_retried:
                node.complete() if state == IGNORED else remember(self.left, task_id, node, most=MOST_TASKS)
            if not self._nodes_of(node.run):
                self.client.unwatch(node.run)
            self.ends.expect(node.run.id)

    def on_logger(self, logger: Any, **_kwargs: Any) -> None:
        logger.addHandler(CurrentNodeHandler(current_node))

    def on_shutdown(self, **_kwargs: Any) -> None:
        self.client.flush(self.client.exit_seconds)
        self.ends.check_now(self.client.exit_seconds)
        self.client.close()

    def revoke_tasks(self, run: Run) -> None:
        """Stop the tasks of a cancelled run that this process executes."""
        if tasks := self._nodes_of(run):
            self.app.control.revoke(tasks, terminate=True)

    def revoke_task(self, node: Node) -> None:
        """Stop the task of a cancelled node that this process executes."""
        if tasks := [task for task, each in list(self.nodes.items()) if each.id == node.id]:
            self.app.control.revoke(tasks, terminate=True)

    def _nodes_of(self, run: Run) -> list[str]:
        return [task for task, node in list(self.nodes.items()) if node.run.id == run.id]

    # --- runs and nodes ---------------------------------------------------------
    def _node_of(self, name: str, request: Any, args: Any, kwargs: Any) -> Node:
        root, workflow = getattr(request, ROOT, None) or root_of(request), getattr(request, WORKFLOW, None) or name
        run = self._run(run_of(request), workflow, root, getattr(request, SENT, None), graph_of(request, name))
        if not is_alone(request):
            self.ends.share(run.id)
        key = key_of(request.id, getattr(request, NESTING, 0))
        return self._node(run, key, name, args, kwargs, attempt=(request.retries or 0) + 1)

    def _run(self, id: str, workflow: str, root: str, sent: str | None, stages: Stages) -> Run:
        """Return the run. Each process creates it, after its graph, as the facts of one process may arrive before those
        of another. The run has no lease: it belongs to no single worker, and nobody could extend the lease while tasks
        wait for a worker."""
        if stages:
            self.client.add_stages(workflow, stages)
        metadata = {"correlation_id": root, **self.metadata}
        return self.client.run(workflow, id=id, trigger="event", metadata=metadata, at=sent, lease_seconds=0)

    def _node(self, run: Run, key: str, name: str, args: Any, kwargs: Any, attempt: int = 1) -> Node:
        task = self.app.tasks.get(name)
        retries = getattr(task, "max_retries", 0)
        given = {"args": list(args or ()), "kwargs": dict(kwargs or {})}
        return run.node(
            name, id=derive(run.id, key), attempt=attempt, input=given,
            retries=UNLIMITED if retries is None else retries,
        )  # fmt: skip
