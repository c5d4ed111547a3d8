"""A logging handler that stores what is logged while a node runs as log lines of its execution."""

import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from executions.models import ExecutionLog, LogLevel, NodeExecution, WorkflowExecution
from executions.secrets import run_secrets
from executions.secrets.scrubber import at_work
from ledgerkit.db.json_validation import to_storable_text

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

# Not below the loggers of the demo: this one has to reach the console if the ledger is unreachable.
unstored = logging.getLogger("pastetrader.unstored_lines")


class Recorder:
    """Buffer of the log lines of one run or node execution."""

    def __init__(self, run: WorkflowExecution, node: NodeExecution | None = None) -> None:
        self.run, self.node = run, node
        self.lines: list[ExecutionLog] = []

    def add(self, record: logging.LogRecord) -> None:
        self.lines.append(
            ExecutionLog(
                workflow_execution=self.run,
                node_execution=self.node,
                level=level_of(record.levelno),
                message=_message(record),
                data=_data(record) or None,
                timestamp=datetime.fromtimestamp(record.created, UTC),
            )
        )

    def flush(self) -> None:
        """Store the buffered lines. Never raises; lines that cannot be stored are kept for the next flush."""
        if not self.lines:
            return
        # The database layer may log about this statement, which would add another line, and so on.
        token = _current.set(None)
        lines, self.lines = self.lines, []
        try:
            ExecutionLog.objects.bulk_create(lines)
        except Exception:  # noqa: BLE001  # a node must not fail because its lines cannot be stored
            self.lines = lines + self.lines
            unstored.exception("%d log lines of run %s could not be stored yet", len(lines), self.run.pk)
        finally:
            _current.reset(token)

    def give_up(self) -> None:
        """Print the lines that could not be stored to the console, masked with the run's secrets."""
        if not self.lines:
            return
        scrubber = run_secrets.scrubber(self.run.pk)
        for line in self.lines:
            unstored.error("%s %s: %s", line.timestamp.isoformat(), line.level, scrubber.text(line.message))


_current: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


@contextmanager
def record_logs(run: WorkflowExecution, node: NodeExecution | None = None) -> Iterator[Recorder]:
    """Store what this thread logs inside as log lines of the run, and of the node if one is given."""
    recorder = Recorder(run, node)
    printed = at_work.set(run_secrets.scrubber(run.pk))
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)
        recorder.flush()
        recorder.give_up()
        at_work.reset(printed)


class LedgerHandler(logging.Handler):
    """Handler that does nothing outside `record_logs()`, so it can be attached permanently, even to the root logger."""

    def emit(self, record: logging.LogRecord) -> None:
        recorder = _current.get()
        if recorder is None:
            return
        try:
            recorder.add(record)
        except Exception:  # noqa: BLE001  # as in logging: an error in a handler is reported by handleError()
            self.handleError(record)


def level_of(number: int) -> LogLevel:
    """Return the ledger's level for a level of logging: CRITICAL is an error, levels in between are rounded down."""
    if number >= logging.ERROR:
        return LogLevel.ERROR
    if number >= logging.WARNING:
        return LogLevel.WARNING
    return LogLevel.INFO if number >= logging.INFO else LogLevel.DEBUG


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args!r}"  # the arguments do not fit the message: show both


def _data(record: logging.LogRecord) -> dict[str, object]:
    extra = {name: value for name, value in vars(record).items() if name not in STANDARD and _is_json(value)}
    if record.exc_info and record.exc_info[1]:
        extra["traceback"] = to_storable_text("".join(traceback.format_exception(record.exc_info[1])))
    if record.stack_info:
        extra["stack"] = to_storable_text(record.stack_info)
    return extra


def _is_json(value: object) -> bool:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return "\\u0000" not in text and to_storable_text(text) == text
