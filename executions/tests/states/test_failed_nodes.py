"""A run that was completed though nodes failed is distinguished from one in which none did, wherever runs are shown."""

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from executions.models import NodeExecution, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from workflows.models import Workflow

MARK = "1 node failed</span>"


def completed_with_failure(workflow: Workflow, failed: int = 1) -> WorkflowExecution:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    for number, node in enumerate(workflow.nodes.all()):
        in_state(NodeExecutionFactory(workflow_execution=run, node=node), "failed" if number < failed else "completed")
    run.complete()
    return run


def count(run: Any) -> int:
    return int(WorkflowExecution.objects.values_list("failed_nodes", flat=True).get(pk=run.pk))


class TestCount:
    pytestmark = pytest.mark.django_db

    @pytest.mark.parametrize("failed", [0, 1, 2])
    def test_it_is_set_by_the_end_of_the_run_and_known_to_the_object(self, workflow: Workflow, failed: int) -> None:
        run = completed_with_failure(workflow, failed)
        assert (run.failed_nodes, count(run)) == (failed, failed)

    def test_a_retry_begins_at_none(self, workflow: Workflow) -> None:
        run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
        in_state(NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.first()), "failed")
        run.fail("it failed")
        assert (run.failed_nodes, count(run)) == (1, 1)
        run.retry()
        assert (run.failed_nodes, count(run)) == (0, 0)

    def test_a_stale_object_does_not_write_back_an_older_count(self, workflow: Workflow) -> None:
        run = completed_with_failure(workflow)
        run.failed_nodes = 7
        run.save()
        assert count(run) == 1


@pytest.mark.django_db(transaction=True)
class TestTriggers:
    def test_plain_sql_is_counted_too(self, workflow: Workflow) -> None:
        run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
        node = in_state(NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.first()), "failed")
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE workflow_executions SET status = 'completed', ended_at = now() WHERE id = %s", [run.pk]
            )
        assert count(run) == 1
        with connection.cursor() as cursor:
            cursor.execute("UPDATE node_executions SET status = 'completed' WHERE id = %s", [node.pk])
        assert count(run) == 0

    def test_an_imported_and_a_deleted_node_of_an_ended_run(self, workflow: Workflow) -> None:
        run = completed_with_failure(workflow, 0)
        node = NodeExecutionFactory(
            workflow_execution=run, node=workflow.nodes.first(), status="failed", ended_at=run.ended_at
        )
        assert count(run) == 1
        NodeExecution.objects.filter(pk=node.pk).delete()
        assert count(run) == 0

    def test_a_node_that_fails_while_the_run_is_completed(self, workflow: Workflow) -> None:
        """The statement that completes the run waits for the node, and has counted before."""
        run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
        node = in_state(NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.first()), "running")
        with transaction.atomic():
            node.fail("at the last moment")
            ending = threading.Thread(target=self._complete, args=[run])
            ending.start()
            self._wait_until_blocked()
        ending.join(30)
        run.refresh_from_db()
        assert (run.status, run.failed_nodes) == ("completed", 1)

    @staticmethod
    def _complete(run: WorkflowExecution) -> None:
        try:
            run.complete()
        finally:
            connection.close()

    @staticmethod
    def _wait_until_blocked() -> None:
        with connection.cursor() as cursor:
            for _try in range(1_000):
                cursor.execute(
                    "SELECT EXISTS (SELECT FROM pg_locks WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
                )
                if cursor.fetchone() == (True,):
                    return
                cursor.execute("SELECT pg_sleep(0.01)")
        raise AssertionError("nobody waits")


class TestShown:
    pytestmark = pytest.mark.django_db

    @pytest.fixture
    def client(self, staff: Any) -> Client:
        client = Client()
        client.force_login(staff)
        return client

    @pytest.fixture
    def run(self, workflow: Workflow) -> WorkflowExecution:
        completed_with_failure(workflow, 0)
        return completed_with_failure(workflow)

    @pytest.mark.parametrize(
        "address",
        [
            "/admin/executions/workflowexecution/",
            "/admin/executions/workflowexecution/{run}/change/",
            "/admin/executions/workflowexecution/{run}/logs/",
            "/admin/workflows/workflow/{workflow}/",
        ],
    )
    def test_pages_mark_it(self, client: Client, run: WorkflowExecution, address: str) -> None:
        page = client.get(address.format(run=run.pk, workflow=run.workflow_id)).content.decode()
        assert MARK in page

    def test_the_list_says_which_node_failed_and_why(self, client: Client, run: WorkflowExecution) -> None:
        page = client.get("/admin/executions/workflowexecution/").content.decode()
        assert page.count(MARK) == 1
        assert "went wrong" in page

    def test_the_grid_and_the_table_of_durations_say_it(self, client: Client, run: WorkflowExecution) -> None:
        page = client.get(f"/admin/workflows/workflow/{run.workflow_id}/").content.decode()
        assert 'data-again="!">completed, 1 node failed</span>' in page
        assert '<span class="status status-completed">completed, 1 node failed</span>' in page

    def test_a_filter_finds_them(self, client: Client, run: WorkflowExecution) -> None:
        def found(value: str) -> list[Any]:
            page = client.get(f"/admin/executions/workflowexecution/?has_failed_nodes={value}")
            return [row.pk for row in page.context["cl"].result_list]

        assert found("true") == [run.pk]
        assert len(found("false")) == 1

    def test_the_monitor_counts_them(self, client: Client, run: WorkflowExecution) -> None:
        page = client.get("/admin/").content.decode()
        assert "1 completed run with failed nodes" in page
        assert "status=completed&amp;has_failed_nodes=true&amp;ended=1" in page


@pytest.mark.django_db
def test_the_api_tells_the_number_and_filters_by_it(api: Any, owner: Any, workflow: Workflow) -> None:
    clean, flawed = completed_with_failure(workflow, 0), completed_with_failure(workflow, 2)
    client = api(owner)
    assert client.get(f"/api/v1/executions/{flawed.pk}/").json()["failed_nodes"] == 2
    for value, run, number in (("true", flawed, 2), ("false", clean, 0)):
        (row,) = client.get(f"/api/v1/executions/?has_failed_nodes={value}").json()["results"]
        assert (row["id"], row["failed_nodes"]) == (str(run.pk), number)
    assert client.get("/api/v1/executions/?has_failed_nodes=maybe").status_code == 400
