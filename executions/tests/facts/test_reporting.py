"""The reporter in process."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from executions import reporting
from executions.models import ExecutionLog, HistoryEntry, NodeExecution, WorkflowExecution
from executions.tests.facts.reporting import new_id
from pastetrader_client import Client, RunCancelled
from pastetrader_client.tests.waiting import wait_until
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(owner: Any) -> Iterator[Client]:
    with reporting.client(owner, heartbeat=0.2) as made:
        yield made


def test_a_run_is_recorded_as_over_http(client: Client, owner: Any) -> None:
    logger = logging.getLogger("engine.in.process")
    with client.run(workflow="w", graph=["load", "rank"], input={"day": 1}) as run:
        logger.addHandler(handler := run.handler())
        with run.node("load") as node:
            logger.warning("from the logger")
            node.output = {"rows": 7}
        with pytest.raises(LookupError), run.node("extra"):
            raise LookupError("x")
        logger.removeHandler(handler)
    assert client.flush()
    row = WorkflowExecution.objects.get()
    assert (str(row.pk), row.status, row.failed_nodes, row.workflow.owner) == (run.id, "completed", 1, owner)
    assert {node.node_name: node.status for node in NodeExecution.objects.all()} == {
        "load": "completed", "extra": "failed",
    }  # fmt: skip
    assert ExecutionLog.objects.get().message == "from the logger"
    assert set(row.workflow.nodes.values_list("name", flat=True)) == {"load", "rank", "extra"}


def test_a_part_of_a_workflow_is_added(workflow: Workflow, owner: Any) -> None:
    edges = [{"source_node": "report", "target_node": name} for name in ("check", "fetch")]
    part = {"name": workflow.name, "only_add": True, "nodes": [{"name": "check", "node_type": "tool"}], "edges": edges}
    for _time in range(2):
        assert reporting.report([{"kind": "workflow.ensure", "workflow": part}], owner).known == 1
    assert set(workflow.edges.values_list("source_node__name", "target_node__name")) == {
        ("fetch", "rank"), ("rank", "report"), ("report", "check"),
    }  # fmt: skip
    assert Workflow.objects.get(pk=workflow.pk).version == 2
    refused = reporting.report([{"kind": "workflow.ensure", "workflow": part | {"only_add": 1}}], owner).refusals
    assert "only_add" in refused[0].detail


def test_the_history_names_the_user(client: Client, owner: Any) -> None:
    with client.run(workflow="w"):
        pass
    assert client.flush()
    found = HistoryEntry.objects.values_list("through", "user_id")
    assert set(found) == {("in_process", str(owner.pk))}


@pytest.mark.slow
def test_a_cancel_is_heard_and_a_retry_resumed(client: Client) -> None:
    run = client.run(workflow="w")

    def work() -> None:
        with run, run.node("a") as node:
            assert client.flush()
            WorkflowExecution.objects.get().cancel()
            wait_until(lambda: run.is_cancelled)
            node.info("not this")

    with pytest.raises(RunCancelled):
        work()
    failed = client.run(workflow="w")
    failed.start()
    with pytest.raises(LookupError), failed.node("b"):
        raise LookupError
    failed.fail("b failed")
    assert client.flush()
    WorkflowExecution.objects.get(pk=failed.id).retry()
    with client.resume(failed.id) as again, again.node("b"):
        pass
    assert client.flush()
    assert WorkflowExecution.objects.get(pk=failed.id).attempt == 2
    assert NodeExecution.objects.get(node__name="b").status == "completed"
    with pytest.raises(LookupError):
        client.resume(new_id())


def test_facts_of_this_thread_are_in_its_transaction(owner: Any) -> None:
    run = new_id()
    facts = [
        {"kind": "workflow.ensure", "workflow": {"name": "w", "nodes": [{"name": "a", "node_type": "tool"}]}},
        {"kind": "workflow.ensure", "workflow": {"name": ""}},
        {"kind": "execution.create", "id": run, "workflow": "w", "trigger_type": "event"},
        {"kind": "execution.start", "id": run},
        {"kind": "node.create", "id": new_id(), "workflow_execution": run, "node": "a"},
    ]
    with transaction.atomic():
        outcome = reporting.report(facts, owner)
        transaction.set_rollback(True)
    assert (outcome.applied, outcome.known, [each.index for each in outcome.refusals]) == (3, 1, [1])
    assert not WorkflowExecution.objects.exists()
    assert reporting.report(facts, owner).applied == 3
    assert reporting.report(facts, owner).known == 4


def test_nobody_may_be_the_owner(client: Client) -> None:
    with reporting.client() as anonymous, anonymous.run(workflow="w") as run, run.node("a"):
        pass
    assert (Workflow.objects.get().owner, NodeExecution.objects.get().status) == (None, "completed")


def test_the_sending_thread_keeps_no_connection(client: Client) -> None:
    wrapper: Any = connection
    WorkflowExecution.objects.count()
    taken = wrapper.pool.get_stats()
    with client.run(workflow="w"):
        pass
    assert client.flush()
    after = wrapper.pool.get_stats()
    assert after["pool_size"] - after["pool_available"] <= taken["pool_size"] - taken["pool_available"]
