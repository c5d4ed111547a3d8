import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DatabaseError, connection

from executions.models import ExecutionLog, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory
from pastetrader.demo.log_handler import LedgerHandler, level_of, record_logs
from pastetrader.demo.nodes import FUNCTIONS, Job
from pastetrader.demo.tests.conftest import execute, node_of
from workflows.models import Workflow

logger = logging.getLogger("tests.of.the.ledger.handler")


@pytest.fixture(autouse=True)
def handler() -> Iterator[LedgerHandler]:
    handler = LedgerHandler()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture
def node(db: None) -> Any:
    return NodeExecutionFactory()


def the_line(node: Any, *args: Any, level: int = logging.INFO, **kwargs: Any) -> ExecutionLog:
    with record_logs(node.workflow_execution, node):
        logger.log(level, *args, **kwargs)
    return ExecutionLog.objects.get()


def test_every_node_that_ran_has_log_lines_of_its_own(run: WorkflowExecution) -> None:
    for node in run.node_executions.all():
        lines = ExecutionLog.objects.filter(node_execution=node)
        assert lines.exists(), node.node.name
        assert {line.workflow_execution_id for line in lines} == {run.pk}


def test_the_lines_of_the_broken_delivery_tell_what_happened_in_order(run: WorkflowExecution) -> None:
    lines = ExecutionLog.objects.filter(node_execution__node__name="Momentum IBM")
    assert [(line.level, line.message) for line in lines] == [
        ("info", "IBM: delivery 1 has 10973 bytes"),
        ("error", "Attempt 1 failed: Line 409 is not a price row (date,adj_close): '2012-08-'"),
        ("warning", "Trying again in 1 s (retry 1 of 3)"),
        ("info", "IBM: delivery 2 has 14631 bytes"),
        ("info", "IBM: momentum +4.13 %"),
    ]


def test_a_line_lies_between_the_start_and_the_end_of_its_attempt(run: WorkflowExecution) -> None:
    node = node_of(run, "Momentum AAPL")
    assert node.started_at is not None
    assert node.ended_at is not None
    for line in node.logs.all():
        assert node.started_at <= line.timestamp <= node.ended_at


def test_what_a_node_logged_before_it_crashed_is_kept(screen: Workflow) -> None:
    def crash(job: Job) -> Any:
        logging.getLogger("pastetrader.demo.nodes").info("before")
        raise ValueError("after")

    run = execute(screen, {**FUNCTIONS, "market_close": crash})
    lines = run.logs.filter(node_execution__isnull=False)
    assert list(lines.values_list("message", flat=True)) == ["before", "Attempt 1 failed: after"]


@pytest.mark.parametrize(
    ("number", "level"),
    [(5, "debug"), (10, "debug"), (20, "info"), (25, "info"), (30, "warning"), (40, "error"), (50, "error")],
)
def test_a_level_of_logging_becomes_the_ledgers(number: int, level: str) -> None:
    assert level_of(number) == level


def test_a_line_carries_the_extra_fields_that_are_json(node: Any) -> None:
    extra = {"ticker": "IBM", "rows": [1, 2.5, None], "handle": object(), "nan": float("nan"), "nul": "a\x00"}
    line = the_line(node, "%d rows", 2, extra=extra)
    assert line.message == "2 rows"
    assert line.data == {"ticker": "IBM", "rows": [1, 2.5, None]}


def test_a_line_without_extra_fields_has_no_data(node: Any) -> None:
    assert the_line(node, "plain").data is None


def test_a_line_has_the_time_at_which_it_was_logged_not_stored(node: Any) -> None:
    with record_logs(node.workflow_execution, node):
        logger.info("now")
        logged = datetime.now(UTC)
    assert ExecutionLog.objects.get().timestamp <= logged


def test_an_exception_is_stored_with_its_traceback(node: Any) -> None:
    with record_logs(node.workflow_execution, node):
        try:
            raise ValueError("a\x00b")
        except ValueError:
            logger.exception("went wrong", stack_info=True)
    line = ExecutionLog.objects.get()
    data = line.data or {}
    assert line.level == "error"
    assert data["traceback"].endswith("ValueError: a\\x00b\n")
    assert "Stack (most recent call last)" in data["stack"]


@pytest.mark.parametrize(
    ("message", "stored"), [("a\x00b", "a\\x00b"), ("a\ud800b", "a\\ud800b"), ("한국어 ✓", "한국어 ✓")]
)
def test_a_message_that_no_text_column_holds_is_made_readable(node: Any, message: str, stored: str) -> None:
    assert the_line(node, message).message == stored


def test_a_message_that_its_arguments_do_not_fit_is_kept_all_the_same(node: Any, handler: LedgerHandler) -> None:
    with record_logs(node.workflow_execution, node):
        handler.handle(logging.makeLogRecord({"levelno": 20, "msg": "%d rows", "args": ("many",)}))
    assert ExecutionLog.objects.get().message == "%d rows ('many',)"


def test_a_line_that_cannot_be_made_is_reported_and_raises_nothing(
    node: Any, handler: LedgerHandler, capsys: pytest.CaptureFixture[str]
) -> None:
    with record_logs(node.workflow_execution, node):
        handler.handle(logging.makeLogRecord({"levelno": 20, "msg": "too late", "created": 1e300}))
        logger.info("the next one")
    assert ExecutionLog.objects.get().message == "the next one"
    assert "--- Logging error ---" in capsys.readouterr().err


def test_outside_of_a_run_nothing_is_recorded(db: None) -> None:
    logger.info("nobody listens")
    assert not ExecutionLog.objects.exists()


def test_lines_of_the_run_itself_belong_to_no_node(node: Any) -> None:
    with record_logs(node.workflow_execution):
        logger.info("of the run")
        with record_logs(node.workflow_execution, node):
            logger.info("of the node")
        logger.info("of the run again")
    found = {line.message: line.node_execution for line in ExecutionLog.objects.all()}
    assert found == {"of the run": None, "of the node": node, "of the run again": None}


def test_what_the_database_logs_while_lines_are_stored_is_not_a_line(node: Any, handler: LedgerHandler) -> None:
    database = logging.getLogger("django.db.backends")
    level, connection.force_debug_cursor = database.level, True
    database.setLevel(logging.DEBUG)
    database.addHandler(handler)
    try:
        with record_logs(node.workflow_execution, node) as lines:
            logger.info("the only one")
            lines.flush()
    finally:
        database.removeHandler(handler)
        database.setLevel(level)
        connection.force_debug_cursor = False
    assert ExecutionLog.objects.get().message == "the only one"


def test_lines_that_cannot_be_stored_yet_are_stored_with_the_next_flush(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with record_logs(node.workflow_execution, node) as lines:
        logger.info("first")
        with monkeypatch.context() as patch:
            patch.setattr(ExecutionLog.objects, "bulk_create", refuse)
            lines.flush()
        logger.info("second")
    assert list(ExecutionLog.objects.values_list("message", flat=True)) == ["first", "second"]


def test_lines_that_can_never_be_stored_are_printed_and_raise_nothing(
    node: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ExecutionLog.objects, "bulk_create", refuse)
    with record_logs(node.workflow_execution, node):
        logger.info("lost otherwise")
    assert "1 log lines of run" in caplog.text
    assert "info: lost otherwise" in caplog.text


def refuse(lines: Any) -> None:
    raise DatabaseError("no room")
