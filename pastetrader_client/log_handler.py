"""A logging.Handler that records log records as lines of a run."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from .tracebacks import capture_error
from .transport import is_of_own_request

if TYPE_CHECKING:
    from .client import Client
    from .reporter import Reporter
    from .runs import Run

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
OWN = "pastetrader_client"
OF_REQUESTS = ("httpx", "httpcore")  # they log the reporter's requests: recording these causes more


class RunHandler(logging.Handler):
    """`extra` and tracebacks are recorded as the data of the line."""

    def __init__(self, run: "Run", level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.run = run

    def createLock(self) -> None:  # noqa: N802  # a name of logging
        """Create no lock: recording is thread-safe, and logging would hold the lock while emit() runs."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        reporter = self.reporter()
        if reporter is None or is_own(record, reporter.client):
            return
        try:
            reporter.record(level_of(record.levelno), _message(record), _data(record), int(record.created * 1e9))
        except Exception:  # noqa: BLE001  # as in logging: an error in a handler is reported by handleError()
            self.handleError(record)

    def reporter(self) -> "Reporter | None":
        """Return the run or node that gets the line."""
        return self.run.innermost()


class CurrentNodeHandler(RunHandler):
    """Records lines of the node in whose block they are logged, and no others. `current` returns the node."""

    def __init__(self, current: "Callable[[], Reporter | None]", level: int = logging.NOTSET) -> None:
        logging.Handler.__init__(self, level)
        self.reporter = current  # type: ignore[method-assign]  # the same signature


def is_own(record: logging.LogRecord, client: "Client") -> bool:
    """Return whether the reporter itself has logged the record."""
    package = record.name.partition(".")[0]
    is_of_request = package in OF_REQUESTS and is_of_own_request(record)
    return package == OWN or is_of_request or client.is_sending_thread(record.thread)


def level_of(number: int) -> str:
    """Return the ledger's level: CRITICAL is an error, levels in between are rounded down."""
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # the arguments do not fit the message: show both
        return f"{record.msg} {record.args!r}"


def _data(record: logging.LogRecord) -> dict[str, object]:
    data = {name: getattr(record, name) for name in vars(record).keys() - STANDARD}
    if record.exc_info and record.exc_info[1] is not None:
        _message_of_error, data["traceback"] = capture_error(record.exc_info[1])
    if record.stack_info:
        data["stack"] = record.stack_info
    return data
