"""Deleting runs: by those who may, with numbers on the page that asks, and by one statement."""

from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state

RUNS = "/admin/executions/workflowexecution/"


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def run_with_history(lines: int = 2) -> WorkflowExecution:
    run = WorkflowExecutionFactory()
    NodeExecutionFactory(workflow_execution=run)
    ExecutionLog.objects.bulk_create(ExecutionLogFactory.build_batch(lines, workflow_execution=run))
    return run


def test_the_page_that_asks_says_how_much_goes_and_loads_none_of_it(staff: Any) -> None:
    run = run_with_history(lines=1001)
    with CaptureQueriesContext(connection) as queries:
        html = signed_in(staff).get(f"{RUNS}{run.pk}/delete/").content.decode()
    assert "Node executions: 1<" in html
    assert "Execution logs: more than 1000<" in html
    of_lines = [query["sql"] for query in queries if "execution_logs" in query["sql"]]
    assert all("COUNT(" in sql and "LIMIT 1001" in sql for sql in of_lines)


def test_one_run_is_deleted_with_all_that_is_its_own(staff: Any) -> None:
    run, other = run_with_history(), run_with_history()
    response = signed_in(staff).post(f"{RUNS}{run.pk}/delete/", {"post": "yes", "reason": "noise"})
    assert (response.status_code, response["Location"]) == (302, RUNS)
    assert [row.pk for row in WorkflowExecution.objects.all()] == [other.pk]
    assert not NodeExecution.objects.filter(workflow_execution=run.pk).exists()
    assert not ExecutionLog.objects.filter(workflow_execution=run.pk).exists()


def test_a_running_run_is_deleted_neither_by_itself_nor_among_others(staff: Any) -> None:
    running, ended = in_state(WorkflowExecutionFactory(), "running"), in_state(WorkflowExecutionFactory(), "failed")
    client = signed_in(staff)
    answers = [
        client.post(f"{RUNS}{running.pk}/delete/", {"post": "yes", "reason": "noise"}, follow=True),
        client.post(
            RUNS,
            {
                "action": "delete_selected", "_selected_action": [running.pk, ended.pk], "post": "yes",
                "reason": "noise",
            },
            follow=True,
        ),
    ]  # fmt: skip
    assert all("Cannot delete execution in running state: cancel it first" in a.content.decode() for a in answers)
    assert WorkflowExecution.objects.count() == 2


def test_many_runs_are_deleted_by_one_statement(staff: Any) -> None:
    runs = [run_with_history() for _ in range(5)]
    data = {"action": "delete_selected", "_selected_action": [run.pk for run in runs]}
    client = signed_in(staff)
    assert "Execution logs: 10<" in client.post(RUNS, data | {"index": "0"}).content.decode()
    with CaptureQueriesContext(connection) as queries:
        client.post(RUNS, data | {"post": "yes", "reason": "noise"})
    assert not WorkflowExecution.objects.exists()
    assert len([query for query in queries if query["sql"].startswith("DELETE")]) == 1


def test_who_may_not_delete_cannot(teammate: Any, newcomer: Any, stranger: Any, owner: Any) -> None:
    run = run_with_history()
    for user in (teammate, newcomer, stranger, owner):
        response = signed_in(user).post(f"{RUNS}{run.pk}/delete/", {"post": "yes", "reason": "noise"})
        assert response.status_code in {302, 403}
        signed_in(user).post(
            RUNS, {"action": "delete_selected", "_selected_action": [run.pk], "post": "yes", "reason": "noise"}
        )
    assert WorkflowExecution.objects.filter(pk=run.pk).exists()
