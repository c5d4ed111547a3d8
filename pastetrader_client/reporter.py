"""The common part of runs and nodes: their ids, log lines, and the block of a `with` statement."""

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .documents import capture
from .encoding import OVERHEAD
from .ids import random_token, uuid7
from .safe_text import message_of

if TYPE_CHECKING:
    from .client import Client


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


class RunFenced(Exception):
    """Raised by the next call of each node after the ledger has given the run to another worker, or ended it because
    its lease expired. Nothing of this attempt is recorded any more."""

    def __init__(self, run: str) -> None:
        super().__init__(f"Run {run} has another worker, or was ended because its lease expired.")
        self.run = run


class NodeFenced(Exception):
    """Raised by the next call of a node after the ledger has given it to another worker, or ended it because its lease
    expired, while its run goes on. Nothing of this attempt is recorded any more."""

    def __init__(self, node: str) -> None:
        super().__init__(f"Node execution {node} has another worker, or was ended because its lease expired.")
        self.node = node


NO_LEASE: Mapping[str, object] = {}
current: ContextVar["Reporter | None"] = ContextVar("pastetrader_client", default=None)  # the innermost open block


class Id:
    """The id of a run or a node execution, with the time at which the object was created. It is computed on first use,
    normally in the sending thread, as it costs more than the rest of a call. If two threads use it, the first one
    computes it; both processes after a fork compute the same.
    """

    def __get__(self, reporter: "Reporter", _owner: object = None) -> str:
        found: str = vars(reporter).setdefault("id", uuid7(reporter.made_at, reporter.id_bits))
        return found


class Reporter:
    """Common base of runs and nodes: log lines, and the block of a `with` statement."""

    id = Id()
    made_at = 0  # in nanoseconds
    id_bits = 0
    attempt: int
    attempt_of_lines: int  # the last started attempt, 0 for the current one in the ledger
    client: "Client"
    output: Any = None
    has_started = has_ended = has_failed = is_cancelled = is_fenced = False
    is_stopped = False  # cancelled or fenced
    lease_seconds: int
    token: str | None = None  # token of the attempt, if it has a lease
    _has_raised = False
    _before: "Token[Reporter | None] | None" = None
    _create: Mapping[str, object] | None = None
    _create_size = OVERHEAD

    def debug(self, message: object, *args: object, **data: object) -> None:
        self.check_stopped()
        self.record("debug", message_of(message, args), data)

    def info(self, message: object, *args: object, **data: object) -> None:
        self.check_stopped()
        self.record("info", message_of(message, args), data)

    def warning(self, message: object, *args: object, **data: object) -> None:
        self.check_stopped()
        self.record("warning", message_of(message, args), data)

    def error(self, message: object, *args: object, **data: object) -> None:
        self.check_stopped()
        self.record("error", message_of(message, args), data)

    def log(self, level: str, message: object, *args: object, **data: object) -> None:
        """Record a line. Arguments are formatted into the message as by logging; keywords are the data."""
        self.check_stopped()
        self.record(level, message_of(message, args), data)

    def record(self, level: str, message: str, data: Mapping[str, Any], nanoseconds: int | None = None) -> None:
        raise NotImplementedError

    def check_stopped(self) -> None:
        """Raise RunCancelled or NodeCancelled if somebody has cancelled the run or node, RunFenced or NodeFenced if
        another worker has it; once for this object."""
        raise NotImplementedError

    def raise_stop(self) -> None:
        """Raise the exception for which the engine has to stop, once for this object."""
        if not self._has_raised:
            self._has_raised = True
            raise self.reason_to_stop()

    def reason_to_stop(self) -> Exception:
        raise NotImplementedError

    def begin_lease(self) -> Mapping[str, object]:
        """Return the fields for the lease of a start, if it has one. An attempt keeps its token, however often its
        start is reported."""
        if not self.lease_seconds:
            return NO_LEASE
        if self.token is None:
            self.token = random_token()
        return {"worker": self.client.worker, "lease_seconds": self.lease_seconds, "token": self.token}

    def start(self) -> None:
        raise NotImplementedError

    def complete(self, output: object = None) -> None:
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
        if error is None and not self.has_ended:
            self.complete()
        elif error is None and self.is_fenced:
            self.raise_stop()
        elif self.has_ended or isinstance(error, RunCancelled | RunFenced) or self._is_own_stop(error):
            self.has_ended = True
        elif isinstance(error, SystemExit) and not error.code:
            self.complete()
        elif error is not None:
            self.fail(error)

    def _is_own_stop(self, error: BaseException | None) -> bool:
        return isinstance(error, NodeCancelled | NodeFenced) and error.node == self.id

    def leave(self) -> None:
        """Leave the block without reporting an end."""
        if self._before is not None:
            try:
                current.reset(self._before)
            except ValueError:  # the block of a generator is left in another context
                current.set(None)


def copy_output(value: object) -> tuple[object, int]:
    """Return a copy of an output, and its size."""
    return (None, 0) if value is None else capture(value)
