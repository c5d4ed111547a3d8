"""Run and Node, for engines: with a `with` block each, or with a method for each transition."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import time_ns
from typing import TYPE_CHECKING, Any

from .documents import capture_unless_empty
from .encoding import OVERHEAD, encode_transition
from .ids import random_bits
from .leases import checked_seconds
from .log_handler import RunHandler
from .queued_starts import Turn
from .reporter import NodeCancelled, NodeFenced, Reporter, RunCancelled, RunFenced, copy_output, current
from .safe_text import size_of
from .tracebacks import capture_error

if TYPE_CHECKING:
    from .client import Client

DONE = {"completed", "skipped"}


def current_run() -> "Run | None":
    """Return the run of the innermost open block."""
    found = current.get()
    if isinstance(found, Node):
        return found.run
    return found if isinstance(found, Run) else None


def current_node() -> "Node | None":
    """Return the node of the innermost open block."""
    found = current.get()
    return found if isinstance(found, Node) else None


class Run(Reporter):
    """A run. `id` is a UUID of version 7. Objects with the same id, in any process, are the same run."""

    is_queued = False  # its start waits for its turn, at most `queue_seconds`
    queue_seconds: float | None = None
    _failed: tuple[BaseException, str] | None = None

    def __init__(
        self, client: "Client", workflow: str, *, id: str | None = None, attempt: int = 1,
        create: Mapping[str, object] | None = None, size: int = 0,
        nodes: Mapping[str, Mapping[str, Any]] | None = None, lease_seconds: int | None = None, token: str = "",
    ) -> None:  # fmt: skip
        if id is None:
            self.made_at, self.id_bits = time_ns(), random_bits()
        else:
            vars(self)["id"] = id
        self.client, self.workflow = client, workflow
        self.attempt = self.attempt_of_lines = attempt
        self.lease_seconds = client.lease_seconds if lease_seconds is None else checked_seconds(lease_seconds)
        self.token = token or None
        self.known_nodes = nodes
        self._create, self._create_size = create, OVERHEAD + size

    def check_stopped(self) -> None:
        if self.is_stopped:
            self.raise_stop()

    def reason_to_stop(self) -> Exception:
        return RunFenced(self.id) if self.is_fenced else RunCancelled(self.id)

    def send(self, kind: str, size: int = OVERHEAD, **fields: object) -> None:
        self.client.add((size, kind, self, encode_transition, (None, fields, time_ns())))

    def create(self) -> None:
        """Create the run as pending, unless this object has created it."""
        if self._create is not None:
            fields, self._create = self._create, None
            self.send("execution.create", self._create_size, workflow=self.workflow, **fields)

    def start(self, at: str | None = None) -> None:
        """Start the run. `at` is the time of the start, in ISO 8601, by default now. The start of a queued run waits
        for its turn; it raises TurnTimedOut, TurnRefused, RunCancelled or RunFenced if the turn does not come."""
        if self._create is not None:
            self.create()
        if self.is_queued:
            self.take_turn(at)
            return
        self.has_started = True
        self.send("execution.start", OVERHEAD, attempt=self.attempt, at=at, **self.begin_lease())

    def take_turn(self, at: str | None = None) -> None:
        """Wait in this thread until the ledger has started the run."""
        with self.wait_for_turn(at) as turn:
            while not turn.has_come():
                turn.wait()

    @contextmanager
    def wait_for_turn(self, at: str | None = None) -> Iterator[Turn]:
        """Request the turn; the block waits for it. If the engine stops waiting, the run is cancelled, so that it does
        not block the queue."""
        self.create()
        try:
            fields = {"attempt": self.attempt, "at": at, **self.begin_lease()}
            yield self.client.begin_turn(self, fields, self.queue_seconds)
        except BaseException:
            self.stop_waiting()
            raise
        if self.is_stopped or self.has_ended:
            raise self.reason_to_stop()
        self.is_queued, self.has_started = False, True

    def stop_waiting(self) -> None:
        self.client.give_up_turn(self)
        self.cancel("Its engine does not wait for its turn any more.")

    def complete(self, output: object = None) -> None:
        found, size = copy_output(self.output if output is None else output)
        self._end("complete", size, output_data=found, token=self.token)

    def fail(self, error: BaseException | str) -> None:
        message, trace = capture_error(error)
        if self._failed is not None and self._failed[0] is error:
            message = f"{self._failed[1]}: {message}"
        elif trace is not None:
            self.record("error", message, {"traceback": trace})
        self.has_failed = True
        self._end("fail", size_of(message), error_message=message, token=self.token)

    def cancel(self, reason: str | None = None) -> None:
        """Cancel the run: needs a token with the scope executions:control."""
        self._end("cancel", size_of(reason or ""), reason=reason)

    def _end(self, act: str, size: int, **fields: object) -> None:
        if self._create is not None:
            self.create()
        self.has_ended = True
        self.send("execution." + act, OVERHEAD + size, attempt=self.attempt, **fields)
        self.client.send_soon()

    def node(
        self, name: str, *, input: Mapping[str, Any] | None = None, id: str | None = None, attempt: int = 1,
        order: int | None = None, retries: int | None = None, lease_seconds: int | None = None,
    ) -> "Node":  # fmt: skip
        """Return a node execution, to be used as a block. A node that the workflow does not have is added to it, with
        `retries`. Its lease is by default as long as that of the run. Raises RunCancelled if somebody has cancelled the
        run, RunFenced if another worker has it."""
        if self.is_stopped:
            raise self.reason_to_stop()
        seconds = self.lease_seconds if lease_seconds is None else checked_seconds(lease_seconds)
        if self.known_nodes and id is None and (known := self.known_nodes.get(name)) is not None:
            there = {"id": known["id"], "attempt": known["attempt"], "status": known["status"]}
            return Node(self, name, lease_seconds=seconds, **there)
        captured, size = capture_unless_empty(input)
        create = {"node": name, "execution_order": order, "input_data": captured}
        return Node(
            self, name, id=id, attempt=attempt, create=create, size=size, retries=retries, lease_seconds=seconds
        )

    def handler(self, level: int = 0) -> RunHandler:
        """Return a logging.Handler that records lines of this run, or of the node in whose block they are logged."""
        return RunHandler(self, level)

    def record(self, level: str, message: str, data: Mapping[str, Any], nanoseconds: int | None = None) -> None:
        if self._create is not None:
            self.create()
        self.client.add_line(self, None, level, message, data, nanoseconds, self.token, attempt=self.attempt_of_lines)

    def innermost(self) -> Reporter | None:
        """Return the node of this run with the innermost open block, the run itself outside of blocks, None in a block
        of another run."""
        found = current.get()
        if found is None or found is self:
            return self
        return found if isinstance(found, Node) and found.run is self else None

    def mark_cancelled(self) -> None:
        if not self.has_ended:
            self.is_cancelled = self.is_stopped = True
            self.client.call_on_cancel(self)

    def mark_fenced(self) -> None:
        self.is_fenced = self.is_stopped = True
        self.client.call_on_fenced(self)

    def note_failure(self, error: BaseException, node: str) -> None:
        """Note the node that raised the exception, for the error of the run."""
        self._failed = (error, node)

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.workflow}>"


class Node(Reporter):
    """One execution of a node. If a failed node is entered again, it is retried."""

    watched_at = 0.0

    def __init__(
        self, run: Run, name: str, *, id: str | None = None, attempt: int = 1, status: str = "",
        create: Mapping[str, object] | None = None, size: int = 0, retries: int | None = None, lease_seconds: int = 0,
    ) -> None:  # fmt: skip
        if id is None:
            self.made_at, self.id_bits = time_ns(), random_bits()
        else:
            vars(self)["id"] = id
        self.run, self.client, self.name, self.status = run, run.client, name, status
        self.attempt = self.attempt_of_lines = attempt
        self.retries, self.lease_seconds = retries, lease_seconds
        self._create, self._create_size = create, OVERHEAD + size

    def check_stopped(self) -> None:
        if self.is_stopped or self.run.is_stopped:
            self.raise_stop()

    def reason_to_stop(self) -> Exception:
        if self.run.is_stopped:
            return self.run.reason_to_stop()
        return NodeFenced(self.id) if self.is_fenced else NodeCancelled(self.id)

    def mark_cancelled(self) -> None:
        if not self.has_ended:
            self.is_cancelled = self.is_stopped = self.has_ended = True
            self.client.call_on_node_cancel(self)

    def mark_fenced(self) -> None:
        self.is_fenced = self.is_stopped = self.has_ended = True
        self.client.call_on_fenced(self)

    @property
    def run_token(self) -> str | None:
        """Return the token of the run if the node has no token."""
        return self.run.token if self.token is None else None

    @property
    def is_done(self) -> bool:
        """Return whether an earlier attempt of the run completed or skipped the node."""
        return self.status in DONE

    def send(self, kind: str, size: int = OVERHEAD, **fields: object) -> None:
        self.client.add((size, kind, self.run, encode_transition, (self, fields, time_ns())))

    def create(self) -> None:
        """Create the node execution as pending, unless this object has created it."""
        if self._create is not None:
            self.run.create()
            fields, self._create = self._create, None
            self.send("node.create", self._create_size, run_token=self.run.token, **fields)

    def start(self) -> None:
        self.check_stopped()
        if self._create is not None:
            self.create()
        if self.has_failed:
            self.retry()
        self.has_started, self.has_ended = True, False
        self.attempt_of_lines = self.attempt
        self.send("node.start", OVERHEAD, attempt=self.attempt, run_token=self.run.token, **self.begin_lease())

    def complete(self, output: object = None) -> None:
        found, size = copy_output(self.output if output is None else output)
        self._end("complete", size, output_data=found, token=self.token, run_token=self.run_token)

    def fail(self, error: BaseException | str, traceback: str | None = None) -> None:
        message, trace = capture_error(error)
        if isinstance(error, BaseException):
            self.run.note_failure(error, self.name)
        self.has_failed = True
        trace = traceback or trace
        size = size_of(message) + (size_of(trace) if isinstance(trace, str) else trace.size if trace else 0)
        self._end(
            "fail", size, error_message=message, error_traceback=trace, token=self.token, run_token=self.run_token
        )

    def skip(self) -> None:
        self._end("skip", 0, run_token=self.run.token)

    def cancel(self, reason: str | None = None) -> None:
        """Cancel the node: needs a token with the scope executions:control."""
        self._end("cancel", size_of(reason or ""), reason=reason)

    def retry(self, reason: str | None = None) -> None:
        """Retry the failed node: needs a token with the scope executions:control."""
        self.send("node.retry", attempt=self.attempt, reason=reason)
        self.attempt += 1
        self.token = None
        self.has_failed = self.has_ended = False

    def _end(self, act: str, size: int, **fields: object) -> None:
        if self._create is not None:
            self.create()
        self.has_ended = True
        self.send("node." + act, OVERHEAD + size, attempt=self.attempt, **fields)

    def record(self, level: str, message: str, data: Mapping[str, Any], nanoseconds: int | None = None) -> None:
        if self._create is not None:
            self.create()
        self.client.add_line(
            self.run, self, level, message, data, nanoseconds, self.token, self.run_token, self.attempt_of_lines
        )

    def __repr__(self) -> str:
        return f"<Node {self.name} of run {self.run.id}>"
