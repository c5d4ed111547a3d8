"""A logging.Handler that records what is logged as lines of a run."""

import logging
import traceback
from typing import TYPE_CHECKING, Any

from .encoding import cut

if TYPE_CHECKING:
    from .runs import Run

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
OWN = ("pastetrader_client", "httpx", "httpcore")  # the reporter's own lines, of which each would make another


class RunHandler(logging.Handler):
    """`extra` and tracebacks are recorded as the data of the line."""

    def __init__(self, run: "Run", level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.run = run

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in OWN or self.run.client.is_sending_thread(record.thread):
            return
        try:
            self.run.innermost().record(
                level_of(record.levelno), _message(record), _data(record), int(record.created * 1e9)
            )
        except Exception:  # noqa: BLE001  # as in logging: an error in a handler is reported by handleError()
            self.handleError(record)


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
    except Exception:  # noqa: BLE001  # the arguments do not fit: show both
        return f"{record.msg} {record.args!r}"


def _data(record: logging.LogRecord) -> dict[str, Any]:
    data = {name: value for name, value in vars(record).items() if name not in STANDARD}
    if record.exc_info and record.exc_info[1] is not None:
        data["traceback"] = cut("".join(traceback.format_exception(record.exc_info[1])))
    if record.stack_info:
        data["stack"] = record.stack_info
    return data
