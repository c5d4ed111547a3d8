"""The common base of runs and nodes: log lines, and the block of a `with` statement."""

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .encoding import message_of

if TYPE_CHECKING:
    from .client import Client
    from .runs import Run


class RunCancelled(Exception):
    """Raised by the next call of each node after somebody has cancelled the run in the ledger."""

    def __init__(self, run: str) -> None:
        super().__init__(f"Run {run} was cancelled in the ledger.")
        self.run = run


class NodeCancelled(Exception):
    """Raised by the next call of a node after somebody has cancelled it in the ledger, while its run goes on."""

    def __init__(self, node: str) -> None:
        super().__init__(f"Node execution {node} was cancelled in the ledger.")
        self.node = node


current: ContextVar["Reporter | None"] = ContextVar("pastetrader_client", default=None)  # in whose block this code is


class Reporter:
    """A run or a node."""

    id: str
    attempt: int
    client: "Client"
    output: Any

    def __init__(self) -> None:
        self.has_started = self.has_ended = self.has_failed = False
        self._was_told = False
        self._before: Token[Reporter | None] | None = None

    def debug(self, message: object, *args: object, **data: Any) -> None:
        self.log("debug", message, *args, **data)

    def info(self, message: object, *args: object, **data: Any) -> None:
        self.log("info", message, *args, **data)

    def warning(self, message: object, *args: object, **data: Any) -> None:
        self.log("warning", message, *args, **data)

    def error(self, message: object, *args: object, **data: Any) -> None:
        self.log("error", message, *args, **data)

    def log(self, level: str, message: object, *args: object, **data: Any) -> None:
        """Record a line. The arguments are put into the message as logging does it; keywords are its data."""
        self.check_cancelled()
        self.record(level, message_of(message, args), data)

    def record(self, level: str, message: str, data: Mapping[str, Any], nanoseconds: int | None = None) -> None:
        raise NotImplementedError

    def check_cancelled(self) -> None:
        """Raise RunCancelled, once for this object, after somebody has cancelled the run."""
        run = self._run()
        if run.is_cancelled and not self._was_told:
            self._was_told = True
            raise RunCancelled(run.id)

    def _run(self) -> "Run":
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def complete(self, output: Any = None) -> None:
        raise NotImplementedError

    def fail(self, error: BaseException | str) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        self._before = current.set(self)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.leave()
        if self.has_ended or isinstance(error, RunCancelled) or self._is_own_cancel(error):
            self.has_ended = True
        elif error is None or (isinstance(error, SystemExit) and not error.code):
            self.complete()
        else:
            self.fail(error)

    def _is_own_cancel(self, error: BaseException | None) -> bool:
        return isinstance(error, NodeCancelled) and error.node == self.id

    def leave(self) -> None:
        """Leave the block without reporting an end."""
        if self._before is not None:
            try:
                current.reset(self._before)
            except ValueError:  # the block of a generator was left by another context
                current.set(None)
