"""Interface of a transport, its errors, and the marks of its own requests."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from logging import LogRecord
from threading import local
from typing import Any, Protocol

THREAD = "pastetrader-client"  # name of sending threads
_marks = local()


@contextmanager
def own_request() -> Iterator[None]:
    """Mark requests of this thread as requests of the reporter: resume() makes one in a thread of the engine."""
    _marks.is_own = True
    try:
        yield
    finally:
        _marks.is_own = False


def is_of_own_request(record: LogRecord) -> bool:
    """Return whether a log record of httpx is about a request of the reporter."""
    return record.threadName == THREAD or getattr(_marks, "is_own", False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused fact. `index` is its index in the batch."""

    index: int
    code: str
    detail: str
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Somebody else cancelled, retried or ended the run, or cancelled the node execution `node`."""

    run: str
    act: str
    attempt: int
    node: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    refusals: Sequence[Refusal] = ()
    notices: Sequence[Notice] = ()
    applied: int = 0
    known: int = 0


class Unavailable(Exception):
    """The ledger did not take the batch now; the same batch is sent again. `retry_after` is in seconds, None if
    unknown."""

    sentence = "the ledger cannot be reached, facts are kept: %s"  # message of the log

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Failed(Unavailable):
    """The ledger failed (500): at a fact of the batch, or at everything."""

    sentence = "the ledger fails, facts are kept: %s"


class NoLedger(Unavailable):
    """The address is not that of a ledger, or a proxy changes the messages."""

    sentence = "no ledger takes facts at this address, they are kept until one does: %s"


class Contended(Unavailable):
    """Others change the same workflow at the same time."""

    sentence = "facts are kept and sent again: %s"


class Stopped(Exception):
    """The ledger takes nothing of this client: its token is wrong, or lacks a scope."""


class TooLarge(Exception):
    """The ledger takes no batch of this size, or cannot read it: half of it is sent."""


class Transport(Protocol):
    """`http` is the argument of functions of Client.call_later()."""

    @property
    def http(self) -> Any: ...

    def send(self, bodies: Sequence[bytes]) -> Answer:
        """Send facts. Raises Unavailable, Stopped or TooLarge."""

    def define(self, workflow: str | None, run: str, nodes: Sequence[Mapping[str, object]]) -> bool:
        """Add nodes to the workflow of this name or, without one, of the run; make the workflow if it is missing.
        Return whether all are there now. Raises Unavailable or Stopped."""

    def read_run(self, run: str) -> Mapping[str, Any]:
        """Return `attempt` and `workflow` of the run, and `nodes`: id, name, status and attempt of each."""

    def close(self) -> None:
        """Close connections. A later call opens new ones."""

    def forget_connections(self) -> None:
        """Forget the parent's connections in a forked process."""
