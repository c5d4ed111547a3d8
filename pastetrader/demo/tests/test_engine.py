from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from pastetrader.demo.engine import Engine
from pastetrader.demo.ledger_client import connect
from pastetrader.demo.nodes import FUNCTIONS, Job
from pastetrader.demo.tests.conftest import execute, node_of, statuses
from pastetrader.demo.workflow import VARIABLES
from pastetrader_client import current_node
from pastetrader_client.tests.waiting import wait_until
from tokens.models import Token
from workflows.models import Workflow
from workflows.tests.factories import UserFactory

MOMENTUM = [f"Momentum {ticker}" for ticker in ("AAPL", "FB", "GOOG", "IBM", "MSFT")]


def failing(**functions: Any) -> Any:
    return {**FUNCTIONS, **functions}


def divide(job: Job) -> Any:
    return {"ratio": 1 / len(job.config["nothing"])}


def idle_in_transaction() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in trans%%'"
        )
        return int(cursor.fetchone()[0])


def test_five_momentum_nodes_share_an_execution_order(run: WorkflowExecution) -> None:
    orders = dict(run.node_executions.values_list("node__name", "execution_order"))
    assert {orders.pop(name) for name in MOMENTUM} == {2}
    assert orders == {"Market close": 0, "Load prices": 1, "Ranking": 3, "Market filter": 3, "Picks": 4, "Report": 5}


def test_the_nodes_of_a_level_run_at_the_same_time(screen: Workflow) -> None:
    others = {name: Event() for name in MOMENTUM}

    def meet(job: Job) -> Any:
        others[f"Momentum {job.config['ticker']}"].set()
        assert all(event.wait(10) for event in others.values())
        return FUNCTIONS["momentum"](Job(job.inputs, job.config, attempt=2))

    assert execute(screen, failing(momentum=meet)).status == "completed"


def test_the_inputs_of_a_node_are_the_outputs_of_the_nodes_before_it(run: WorkflowExecution) -> None:
    outputs = {name: node_of(run, name).output_data for name in MOMENTUM}
    assert node_of(run, "Ranking").input_data == outputs
    assert node_of(run, "Market close").input_data == run.input_data
    assert set(node_of(run, "Report").input_data) == {"Ranking", "Market filter"}


def test_the_node_with_the_broken_delivery_keeps_its_failed_attempt_and_completes_on_retry(
    run: WorkflowExecution,
) -> None:
    node = node_of(run, "Momentum IBM")
    attempt = node.attempts.get()
    traceback = attempt.error_traceback or ""
    assert (node.status, node.retry_count, node.error_message) == ("completed", 1, None)
    assert (attempt.number, attempt.status) == (1, "failed")
    assert attempt.error_message == "MalformedRowError: Line 409 is not a price row (date,adj_close): '2012-08-'"
    assert "ValueError: not enough values to unpack (expected 2, got 1)" in traceback
    assert 'line.split(",")' in traceback


def test_no_other_node_has_an_earlier_attempt(run: WorkflowExecution) -> None:
    assert run.node_executions.filter(attempt__gt=1).get() == node_of(run, "Momentum IBM")


def test_the_engine_waits_as_long_as_the_retry_config_says(screen: Workflow, naps: list[float]) -> None:
    screen.nodes.filter(name="Momentum IBM").update(retry_config={"max_retries": 1, "delay": 7})
    execute(screen)
    assert naps == [7]


def test_a_node_that_may_not_be_retried_fails_the_run(screen: Workflow) -> None:
    screen.nodes.filter(name="Momentum IBM").update(retry_config={"max_retries": 0})
    run = execute(screen)
    assert (run.status, statuses(run)["Momentum IBM"]) == ("failed", "failed")
    assert run.error_message is not None
    assert run.error_message.startswith("Momentum IBM: MalformedRowError: Line 409")


def test_a_crash_in_a_node_fails_the_run_with_message_and_traceback(screen: Workflow) -> None:
    run = execute(screen, failing(rank=divide))
    node = node_of(run, "Ranking")
    assert (run.status, run.error_message) == ("failed", "Ranking: KeyError: 'nothing'")
    assert (node.status, node.error_message) == ("failed", "KeyError: 'nothing'")
    assert node.error_traceback is not None
    assert 'job.config["nothing"]' in node.error_traceback


def test_what_comes_after_a_failed_node_is_skipped_and_what_ran_beside_it_completes(screen: Workflow) -> None:
    run = execute(screen, failing(rank=divide))
    found = statuses(run)
    assert (found["Picks"], found["Report"], found["Market filter"]) == ("skipped", "skipped", "completed")


def test_a_node_that_never_succeeds_is_tried_as_often_as_its_retry_config_says(screen: Workflow) -> None:
    run = execute(screen, failing(load_prices=divide))
    node = node_of(run, "Load prices")
    assert (run.status, node.status, node.retry_count, node.attempts.count()) == ("failed", "failed", 3, 3)


@pytest.mark.parametrize("output", [{"x": float("nan")}, {"x": object()}])
def test_an_output_that_is_no_json_fails_its_node(screen: Workflow, output: Any) -> None:
    run = execute(screen, failing(market_close=lambda _job: output))
    assert (run.status, statuses(run)["Market close"]) == ("failed", "failed")


def test_a_node_that_exits_fails_as_any_other(screen: Workflow) -> None:
    def leave(job: Job) -> Any:
        raise SystemExit(3)

    assert execute(screen, failing(market_close=leave)).error_message == "Market close: SystemExit: 3"


def test_an_error_with_characters_that_no_text_can_hold_is_stored_readable(screen: Workflow) -> None:
    def garble(job: Job) -> Any:
        raise ValueError("a\x00b\ud800c")

    assert execute(screen, failing(market_close=garble)).error_message == "Market close: ValueError: a\\x00b\\ud800c"


def test_the_same_over_http_for_a_user(screen: Workflow) -> None:
    screen.owner = UserFactory(username="ada", is_superuser=True)
    screen.save()
    run = execute(screen)
    assert run.status == "completed"
    assert node_of(run, "Momentum IBM").attempts.count() == 1
    assert set(run.history.values_list("through", "username")) == {("api", "ada")}
    assert Token.objects.get().revoked_at is not None


def test_a_run_that_is_cancelled_meanwhile_stops_there(screen: Workflow) -> None:
    with connect(None) as client:

        def cancel(job: Job) -> Any:
            assert client.flush()
            run = WorkflowExecution.objects.get()
            run.cancel()
            node = current_node()
            assert node is not None
            while not node.run.is_cancelled:
                node.run.client.report([{"kind": "execution.start", "id": str(run.pk), "attempt": 1}])
                client.flush()
            return {}

        result = Engine(failing(load_prices=cancel), client).execute(screen, input=VARIABLES)
    run = WorkflowExecution.objects.get()
    assert (result.status, run.status) == ("cancelled", "cancelled")
    assert statuses(run) == {"Market close": "completed", "Load prices": "cancelled"}


def test_what_comes_after_a_node_that_is_cancelled_meanwhile_is_skipped_and_the_run_goes_on(screen: Workflow) -> None:
    with connect(None) as client:

        def cancel(job: Job) -> Any:
            node = current_node()
            assert node is not None
            assert client.flush()
            NodeExecution.objects.get(pk=node.id).cancel()
            again = {"id": node.id, "workflow_execution": node.run.id, "attempt": 1}

            def is_heard() -> bool:
                client.report([{"kind": "node.start", **again}])
                client.flush()
                return node.is_cancelled

            wait_until(is_heard)
            return {}

        result = Engine(failing(load_prices=cancel), client).execute(screen, input=VARIABLES)
    run = WorkflowExecution.objects.get()
    assert (result.status, run.status) == ("completed", "completed")
    states = statuses(run)
    assert (states.pop("Market close"), states.pop("Load prices")) == ("completed", "cancelled")
    assert set(states.values()) == {"skipped"}


def test_an_engine_that_is_interrupted_cancels_its_run(screen: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pastetrader.demo.engine.Plan.inputs", interrupt)
    with pytest.raises(KeyboardInterrupt):
        execute(screen)
    assert WorkflowExecution.objects.get().status == "cancelled"


def interrupt(*args: Any) -> Any:
    raise KeyboardInterrupt


def test_an_engine_that_fails_fails_its_run(screen: Workflow) -> None:
    screen.edges.filter(condition__isnull=False).update(condition={"never": "heard of"})
    with pytest.raises(KeyError):
        execute(screen)
    run = WorkflowExecution.objects.get()
    assert (run.status, run.error_message) == ("failed", "The engine failed: KeyError: 'field'")


def taken() -> int:
    """Return the number of the pool's connections in use."""
    wrapper: Any = connection
    stats = wrapper.pool.get_stats()
    return int(stats["pool_size"] - stats["pool_available"])


def test_threads_leave_no_open_transaction_and_no_connection(screen: Workflow) -> None:
    before = taken()
    runs = [execute(screen), execute(screen, failing(momentum=divide))]
    assert [run.status for run in runs] == ["completed", "failed"]
    assert idle_in_transaction() == 0
    assert taken() <= before  # this test holds one; of an earlier one some may be on their way back


def test_runs_of_two_workflows_at_once_keep_their_lines_apart(screen: Workflow) -> None:
    other = Workflow.objects.create(name="other")
    other.nodes.create(name="alone", node_type="tool", config={"function": "market_close"})
    threads = [Thread(target=execute_and_close, args=(workflow,)) for workflow in (screen, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = ExecutionLog.objects.filter(workflow_execution__workflow=other).values_list("message", flat=True)
    assert list(lines) == ["Started with 1 nodes", "Screening 5 stocks at the close of 2013-03-01"]


def execute_and_close(workflow: Workflow) -> None:
    try:
        execute(workflow)
    finally:
        connection.close()
