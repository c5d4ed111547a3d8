"""Runs and nodes as an engine reports them: with a block each, or with one method for each transition."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .encoding import document, error_of, fact
from .ids import uuid7
from .log_handler import RunHandler
from .reporter import NodeCancelled, Reporter, RunCancelled, current

if TYPE_CHECKING:
    from .client import Client

DONE = {"completed", "skipped"}


def current_run() -> "Run | None":
    """Return the run in whose block this code is."""
    found = current.get()
    if isinstance(found, Node):
        return found.run
    return found if isinstance(found, Run) else None


def current_node() -> "Node | None":
    """Return the node in whose block this code is."""
    found = current.get()
    return found if isinstance(found, Node) else None


class Run(Reporter):
    """A run. `id` is an id of version 7; the same id again, from any process, is the same run."""

    def __init__(
        self, client: "Client", workflow: str, *, id: str | None = None, attempt: int = 1,
        create: Mapping[str, Any] | None = None, nodes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.client, self.workflow = client, workflow
        self.id = id or uuid7()
        self.attempt = attempt
        self.output: Any = None
        self.is_cancelled = False
        self.known_nodes = dict(nodes or {})
        self._create = create
        self._failed: tuple[BaseException, str] | None = None

    def _run(self) -> "Run":
        return self

    def send(self, kind: str, *, urgent: bool = False, **fields: Any) -> None:
        self.client.add(fact(self.id, kind, id=self.id, **fields), urgent=urgent)

    def create(self) -> None:
        """Create the run as pending, unless this object has done it."""
        if self._create is not None:
            fields, self._create = self._create, None
            self.send("execution.create", workflow=self.workflow, **fields)

    def start(self, at: str | None = None) -> None:
        """Start the run. `at` is the time of it, in ISO 8601, if that is not now."""
        self.create()
        self.send("execution.start", attempt=self.attempt, at=at)
        self.has_started = True
        self.client.watch(self)

    def complete(self, output: Any = None) -> None:
        found = self.output if output is None else output
        self._end("complete", output_data=None if found is None else document(found))

    def fail(self, error: BaseException | str) -> None:
        message, trace = error_of(error)
        if self._failed is not None and self._failed[0] is error:
            message = f"{self._failed[1]}: {message}"
        elif trace is not None:
            self.record("error", message, {"traceback": trace})
        self.has_failed = True
        self._end("fail", error_message=message)

    def cancel(self, reason: str | None = None) -> None:
        """Cancel the run: needs a token with the scope executions:control."""
        self._end("cancel", reason=reason)

    def _end(self, act: str, **fields: Any) -> None:
        self.create()
        self.has_ended = True
        self.client.unwatch(self)
        self.send(f"execution.{act}", urgent=True, attempt=self.attempt, **fields)

    def node(
        self, name: str, *, input: Mapping[str, Any] | None = None, id: str | None = None, attempt: int = 1,
        order: int | None = None, retries: int | None = None,
    ) -> "Node":  # fmt: skip
        """Return a node execution, to be used as a block. A node that the workflow does not have is added to it, with
        so many retries. Raises RunCancelled after somebody has cancelled the run."""
        if self.is_cancelled:
            raise RunCancelled(self.id)
        if (known := self.known_nodes.get(name)) is not None and id is None:
            return Node(self, name, id=known["id"], attempt=known["attempt"], status=known["status"])
        if retries is not None:
            self.client.describe_node(self.id, name, {"retry_config": {"max_retries": retries}})
        create = {"node": name, "execution_order": order, "input_data": document(dict(input)) if input else None}
        return Node(self, name, id=id, attempt=attempt, create=create)

    def handler(self, level: int = 0) -> RunHandler:
        """Return a logging.Handler that records lines of this run, and of the node in whose block they are logged."""
        return RunHandler(self, level)

    def record(self, level: str, message: str, data: Mapping[str, Any], nanoseconds: int | None = None) -> None:
        self.create()
        self.client.add_line(self.id, None, level, message, data, nanoseconds)

    def innermost(self) -> Reporter | None:
        """Return the node of this run in whose block this code is, the run itself outside of blocks, None in a block of
        another run."""
        found = current.get()
        if found is None or found is self:
            return self
        return found if isinstance(found, Node) and found.run is self else None

    def hear_cancel(self) -> None:
        self.is_cancelled = True
        self.client.call_on_cancel(self)

    def note_failure(self, error: BaseException, node: str) -> None:
        """Remember which node an exception came from, for the error of the run."""
        self._failed = (error, node)

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.workflow}>"


class Node(Reporter):
    """One execution of a node. A failed one that is entered again is retried."""

    def __init__(
        self, run: Run, name: str, *, id: str | None = None, attempt: int = 1, status: str = "",
        create: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.run, self.client, self.name, self.status = run, run.client, name, status
        self.id = id or uuid7()
        self.attempt = attempt
        self.output: Any = None
        self.is_cancelled = False
        self.watched_at = 0.0
        self._create = create

    def check_cancelled(self) -> None:
        """Raise RunCancelled or NodeCancelled, once, after somebody has cancelled the run or this node."""
        super().check_cancelled()
        if self.is_cancelled and not self._was_told:
            self._was_told = True
            raise NodeCancelled(self.id)

    def hear_cancel(self) -> None:
        self.is_cancelled = self.has_ended = True
        self.client.call_on_node_cancel(self)

    @property
    def is_done(self) -> bool:
        """Return whether an earlier attempt of the run completed or skipped the node."""
        return self.status in DONE

    def _run(self) -> Run:
        return self.run

    def send(self, kind: str, **fields: Any) -> None:
        self.client.add(fact(self.run.id, kind, self.id, id=self.id, workflow_execution=self.run.id, **fields))

    def create(self) -> None:
        """Create the node execution as pending, unless this object has done it."""
        if self._create is not None:
            self.run.create()
            fields, self._create = self._create, None
            self.send("node.create", **fields)

    def start(self) -> None:
        self.check_cancelled()
        self.create()
        if self.has_failed:
            self.retry()
        self.send("node.start", attempt=self.attempt)
        self.has_started, self.has_ended = True, False
        self.client.watch_node(self)

    def complete(self, output: Any = None) -> None:
        found = self.output if output is None else output
        self._end("complete", output_data=None if found is None else document(found))

    def fail(self, error: BaseException | str, traceback: str | None = None) -> None:
        message, trace = error_of(error)
        if isinstance(error, BaseException):
            self.run.note_failure(error, self.name)
        self.has_failed = True
        self._end("fail", error_message=message, error_traceback=traceback or trace)

    def skip(self) -> None:
        self._end("skip")

    def cancel(self, reason: str | None = None) -> None:
        """Cancel the node: needs a token with the scope executions:control."""
        self._end("cancel", reason=reason)

    def retry(self, reason: str | None = None) -> None:
        """Retry the failed node: needs a token with the scope executions:control."""
        self.send("node.retry", attempt=self.attempt, reason=reason)
        self.attempt += 1
        self.has_failed = self.has_ended = False

    def _end(self, act: str, **fields: Any) -> None:
        self.create()
        self.has_ended = True
        self.client.unwatch_node(self)
        self.send(f"node.{act}", attempt=self.attempt, **fields)

    def record(self, level: str, message: str, data: Mapping[str, Any], nanoseconds: int | None = None) -> None:
        self.create()
        self.client.add_line(self.run.id, self.id, level, message, data, nanoseconds)

    def __repr__(self) -> str:
        return f"<Node {self.name} of run {self.run.id}>"
