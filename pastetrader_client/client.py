"""Client: the interface for engines."""

import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from threading import RLock
from time import time_ns
from typing import Any, Literal, Self, overload
from weakref import WeakMethod, finalize

from . import decorators, process_exit
from .documents import Document, capture, capture_unless_empty, copy_mapping
from .encoding import OVERHEAD, draft_of, encode_line, raw, send_nothing
from .graphs import Graph, Stages
from .ids import unique_name
from .leases import checked_seconds
from .outbox import Outbox
from .program_name import name_of_program
from .queued_starts import Turn
from .run_watch import RunWatch
from .runs import Node, Run
from .safe_text import WIDEST, size_of
from .sender import Sender
from .spool import Spool, folder
from .trace_context import traceparent_of
from .transport import Transport

MEGABYTE = 1_000_000
MOST_NUMBERED = 10_000  # runs
MAX_SOURCE = MAX_WORKER = 200  # characters that the ledger takes
CONCURRENT = Document('{"allow_concurrent":true}')
ENDS = {"execution.complete", "execution.fail", "execution.cancel"}

logger = logging.getLogger("pastetrader_client")


class Client:
    """A client of one ledger, for all threads of a process.

    `name` distinguishes programs of one user: the next process with this name sends what one could not deliver.
    `source` names this process in log lines, which are numbered by source and run: it must be unique within the run. It
    defaults to host and process number with random digits. With `lease_seconds`, runs and nodes start under leases of
    `worker`, which defaults to host and process number; the sending thread extends them. `on_cancel(run)`,
    `on_node_cancel(node)`, `on_retry(run_id, attempt)` and `on_fenced(run or node)` are called by the sending thread,
    and should be quick. `spool` is the directory for files, None for the user's state directory, False for none.
    `max_memory` limits log lines; other facts may use twice as much.
    """

    def __init__(
        self, url: str = "", token: str = "", *, name: str | None = None, source: str | None = None,
        spool: str | Path | Literal[False] | None = None,
        max_memory: int = 16 * MEGABYTE, max_spool: int = 256 * MEGABYTE, heartbeat: float = 10.0,
        exit_seconds: float = 5.0, sigterm: bool = True, lease_seconds: int = 0, worker: str | None = None,
        on_cancel: Callable[[Run], object] | None = None, on_node_cancel: Callable[[Node], object] | None = None,
        on_retry: Callable[[str, int], object] | None = None, on_fenced: Callable[[Run | Node], object] | None = None,
        transport: Transport | None = None,
    ) -> None:  # fmt: skip
        self.exit_seconds = exit_seconds
        self.on_cancel, self.on_node_cancel, self.on_retry, self.on_fenced = (
            on_cancel, on_node_cancel, on_retry, on_fenced,
        )  # fmt: skip
        self.lease_seconds, self._worker = checked_seconds(lease_seconds), worker
        self._max_memory, self._max_spool, self._heartbeat = max_memory, max_spool, heartbeat
        self._transport = transport or _over_http(url, token)
        self._folder = None if spool is False else folder(spool, name or name_of_program(), url)
        self._source = (source or "")[:MAX_SOURCE]
        self._begin()
        process_exit.register(self, sigterm=sigterm)
        if self._sender.spool.has_leftovers():
            self._sender.start()

    def _begin(self) -> None:
        self.source = self._source or unique_name(f"{socket.gethostname()}-{os.getpid()}", MAX_SOURCE)
        self.worker = self._name_worker()
        self._numbers: dict[str, Iterator[int]] = {}
        self._lock = RLock()  # a new one in a forked process, where the copied lock may never be released
        self._watch = RunWatch(self._heartbeat, _weakly(self._call_on_retry) if self.on_retry else None)
        outbox, spool = Outbox(self._max_memory), Spool(self._folder, self._max_spool)
        self._sender = Sender(outbox, spool, self._transport, self._watch, self.exit_seconds)
        self._definitions = self._sender.batches.definitions
        self.add = outbox.add
        finalize(self, self._sender.end_when_idle).atexit = False

    def _name_worker(self) -> str:
        name = self._worker or f"{socket.gethostname()}:{os.getpid()}"
        return "".join(each if each.isprintable() else "?" for each in name)[:MAX_WORKER]

    def begin_in_child(self) -> None:
        """Reset the client in a forked process: the parent sends the facts in memory."""
        self._sender.leave_in_child()
        self._source = unique_name(self._source, MAX_SOURCE) if self._source else ""
        self._begin()

    # --- runs -------------------------------------------------------------------
    def run(
        self, workflow: str, *, input: Mapping[str, Any] | None = None, graph: Graph | None = None,
        trigger: Literal["manual", "schedule", "event"] = "manual", context: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None, tags: Sequence[str] = (), concurrent: bool = True,
        id: str | None = None, at: str | None = None, lease_seconds: int | None = None, traceparent: str | None = None,
        queue: bool = False, queue_seconds: float | None = None,
    ) -> Run:  # fmt: skip
        """Return a run, to be used as a block. `graph` declares the nodes and edges of the workflow. Unless
        `concurrent`, the ledger refuses the run while another one of its workflow is running. With `queue` its start
        waits for that run instead, at most `queue_seconds`. `at` is the time of its creation, in ISO 8601; it defaults
        to the time of the first use. `lease_seconds`, for the run and its nodes, defaults to that of the client; 0 is
        no lease. `traceparent` defaults to that of OpenTelemetry's current span."""
        if graph is not None:
            self._definitions.declare(workflow, graph, self.add)
        create: dict[str, object] = {"trigger_type": trigger, "at": at, "queue": queue or None}
        size = size_of(workflow)
        more = _metadata(metadata, tags, traceparent_of(traceparent), concurrent=concurrent and not queue)
        for name, value in (("input_data", input), ("context", context), ("metadata", more)):
            create[name], added = capture_unless_empty(value)
            size += added
        run = Run(self, workflow, id=id, create=create, size=size, lease_seconds=lease_seconds)
        run.is_queued, run.queue_seconds = queue, queue_seconds
        return run

    def attach(self, id: str, *, workflow: str = "", attempt: int | None = None, token: str = "") -> Run:
        """Return a run that another process has created. `attempt` defaults to the first, for lines to the current one.
        With the `token` of the run, its nodes record nothing after another worker has got the run; `on_fenced` is
        called then."""
        run = self._attach_run(Run(self, workflow, id=id, attempt=attempt or 1, token=token))
        run.attempt_of_lines = attempt or 0
        return run

    def resume(self, id: str) -> Run:
        """Return a run at its current attempt, with its nodes: `run.node(name).is_done` is true if the node need not be
        repeated. Waits for the ledger. Raises LookupError, Unavailable or Stopped."""
        row = self._transport.read_run(id)
        nodes = {node["name"]: node for node in row["nodes"]}
        self._sender.batches.resume(id, row["attempt"])
        return self._attach_run(Run(self, row["workflow"], id=id, attempt=row["attempt"], nodes=nodes))

    def _attach_run(self, run: Run) -> Run:
        """Register the run with the sending thread: this process may never start it."""
        self.add((0, "attach", run, send_nothing, ()))
        return run

    @overload
    def workflow[**P, R](self, name: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def workflow(
        self, name: str | None = None, /, **options: object
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...
    def workflow(self, name: Any = None, /, **options: Any) -> Any:
        """Make each call of the decorated function a run. Options are those of run()."""
        if callable(name):
            return decorators.workflow(self, None, {})(name)
        return decorators.workflow(self, name, options)

    @overload
    def node[**P, R](self, name: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def node(
        self, name: str | None = None, /, **options: object
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...
    def node(self, name: Any = None, /, **options: Any) -> Any:
        """Make each call of the decorated function, within a run, a node. Options are those of Run.node()."""
        if callable(name):
            return decorators.node(None, {})(name)
        return decorators.node(name, options)

    def report(self, facts: Iterable[Mapping[str, Any]]) -> None:
        """Add facts as `POST events/` takes them. `at` defaults to now."""
        for each in facts:
            self.add(draft_of(raw(each)))
            if each["kind"] in ENDS:
                self.send_soon()

    def add_line(
        self, run: Run, node: Node | None, level: str, message: str, data: Mapping[str, object],
        nanoseconds: int | None = None, token: str | None = None, run_token: str | None = None, attempt: int = 0,
    ) -> None:  # fmt: skip
        """Add a log line with the next number of the source in the run."""
        numbers = self._numbers.get(run.id) or self._begin_numbers(run.id)
        size = OVERHEAD + (len(message) if message.isascii() else WIDEST * len(message))
        kept, of_data = capture(data) if data else (None, 0)
        ns = time_ns() if nanoseconds is None else nanoseconds
        line = (node, level, message, kept, ns, self.source, next(numbers), token, run_token, attempt)
        self.add((size + of_data, "log", run, encode_line, line))

    def _begin_numbers(self, run: str) -> Iterator[int]:
        """Number the lines of a run from 1. Beyond MOST_NUMBERED runs, the numbers of the oldest start at 1 again."""
        with self._lock:
            if len(self._numbers) >= MOST_NUMBERED:
                del self._numbers[next(iter(self._numbers))]
            return self._numbers.setdefault(run, count(1))

    def call_later(self, seconds: float, function: Callable[[Any], object]) -> None:
        """Call `function(http)` in the sending thread, where `http` is an httpx.Client with the address of the API and
        the token. It is not called if it is not due before the process ends."""
        self._sender.call_later(seconds, function)

    # --- delivery ---------------------------------------------------------------
    def flush(self, seconds: float = 5.0) -> bool:
        """Wait at most `seconds` until everything is delivered. Return whether it is."""
        return self._sender.flush(seconds)

    def is_delivered(self) -> bool:
        """Return whether everything is delivered."""
        return self._sender.is_idle()

    def close(self, seconds: float | None = None) -> None:
        """Deliver facts for at most `seconds` (default: `exit_seconds`); the rest goes to the spool. Called at the end
        of the process."""
        self._sender.close(self.exit_seconds if seconds is None else seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # --- for runs ---------------------------------------------------------------
    def add_stages(self, workflow: str, stages: Stages) -> None:
        """Add the missing ones of these nodes, and of the edges between them, to the workflow, before later runs are
        created."""
        self._definitions.add(workflow, stages, self.add)

    def send_soon(self) -> None:
        """Let the thread send all waiting facts at its next check, because a run has ended."""
        self._sender.outbox.is_urgent = True

    def begin_turn(self, run: Run, fields: Mapping[str, object], seconds: float | None) -> Turn:
        """Let the sending thread request the start of a queued run."""
        return self._sender.turns.begin(run, fields, seconds)

    def give_up_turn(self, run: Run) -> None:
        self._sender.turns.give_up(run)

    def unwatch(self, run: Run) -> None:
        """Stop watching a run that has not ended, but that this process works on no longer."""
        self.add((0, "unwatch", run, send_nothing, ()))

    def is_sending_thread(self, ident: int | None) -> bool:
        return self._sender.is_own_thread(ident)

    def call_on_cancel(self, run: Run) -> None:
        self._call(self.on_cancel, run)

    def call_on_node_cancel(self, node: Node) -> None:
        self._call(self.on_node_cancel, node)

    def call_on_fenced(self, of: Run | Node) -> None:
        self._call(self.on_fenced, of)

    def _call_on_retry(self, run: str, attempt: int) -> None:
        self._call(self.on_retry, run, attempt)

    def _call(self, callback: Callable[..., object] | None, *args: object) -> None:
        if callback is None:
            return
        try:
            callback(*args)
        except Exception:  # an error of a callback must not end the thread
            logger.exception("a callback of the engine failed")


def _metadata(
    given: Mapping[str, Any] | None, tags: Sequence[str], traceparent: str | None, *, concurrent: bool
) -> Mapping[str, object] | str:
    if (copied := copy_mapping(given)) or tags or traceparent or not concurrent:
        more = {"tags": list(tags)} if tags else {}
        of_trace = {"traceparent": traceparent} if traceparent else {}
        return {**of_trace, **copied, **more, **({"allow_concurrent": True} if concurrent else {})}
    return CONCURRENT


def _weakly(method: Callable[[str, int], object]) -> Callable[[str, int], object]:
    """Return the method without a reference to its client: the thread of a client ends when nothing refers to the
    client."""
    found = WeakMethod(method)
    return lambda run, attempt: (call := found()) and call(run, attempt)


def _over_http(url: str, token: str) -> Transport:
    if not url or not token:
        raise ValueError("Client() takes the address of a ledger and a token of it.")
    from .http_transport import HttpTransport  # noqa: PLC0415  # in process, httpx is not needed

    return HttpTransport(url, token)
