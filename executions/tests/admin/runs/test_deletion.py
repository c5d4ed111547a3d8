"""Deleting runs: by those who may, with numbers on the page that asks, and by one statement."""

import re
from typing import Any
from unittest import mock

from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.exceptions import InvalidTransition
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.refusal_reasons import CANCEL_FIRST
from executions.tests.admin.runs.test_actions import messages_of
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.tests.clients import client_of

RUNS = "/admin/executions/workflowexecution/"


def run_with_history(lines: int = 2) -> WorkflowExecution:
    run = WorkflowExecutionFactory()
    NodeExecutionFactory(workflow_execution=run)
    ExecutionLog.objects.bulk_create(ExecutionLogFactory.build_batch(lines, workflow_execution=run))
    return run


def test_the_page_that_asks_says_how_much_goes_and_loads_none_of_it(staff: Any) -> None:
    run = run_with_history(lines=1001)
    with CaptureQueriesContext(connection) as queries:
        html = client_of(staff).get(f"{RUNS}{run.pk}/delete/").content.decode()
    assert "Node executions: 1<" in html
    assert "Execution logs: more than 1000<" in html
    of_lines = [query["sql"] for query in queries if "execution_logs" in query["sql"]]
    assert all("COUNT(" in sql and "LIMIT 1001" in sql for sql in of_lines)


def test_the_page_that_asks_has_the_breadcrumbs_of_the_run(staff: Any) -> None:
    run = run_with_history()
    html = client_of(staff).get(f"{RUNS}{run.pk}/delete/").content.decode()
    crumbs = html.partition('<ol class="breadcrumbs">')[2].partition("</ol>")[0]
    assert re.findall(r'href="([^"]+)"', crumbs) == ["/admin/", RUNS, f"{RUNS}{run.pk}/change/"]


def test_a_run_is_deleted_with_its_nodes_and_lines(staff: Any) -> None:
    run, other = run_with_history(), run_with_history()
    response = client_of(staff).post(f"{RUNS}{run.pk}/delete/", {"post": "yes", "reason": "noise"})
    assert (response.status_code, response["Location"]) == (302, RUNS)
    assert [row.pk for row in WorkflowExecution.objects.all()] == [other.pk]
    assert not NodeExecution.objects.filter(workflow_execution=run.pk).exists()
    assert not ExecutionLog.objects.filter(workflow_execution=run.pk).exists()


def delete_many(user: Any, *runs: WorkflowExecution, **fields: str) -> Any:
    data = {"action": "delete_selected", "_selected_action": [run.pk for run in runs]} | fields
    return client_of(user).post(RUNS, data)


def test_a_running_run_is_not_deleted(staff: Any) -> None:
    running = in_state(WorkflowExecutionFactory(), "running")
    path = f"{RUNS}{running.pk}/delete/"
    answer = client_of(staff).post(path, {"post": "yes", "reason": "noise"}, follow=True)
    assert "Cannot delete execution in running state: cancel it first" in answer.content.decode()
    assert WorkflowExecution.objects.exists()


def test_a_run_that_is_started_while_it_is_deleted_is_kept(staff: Any) -> None:
    run = WorkflowExecutionFactory()
    refusal = InvalidTransition("delete", "running", CANCEL_FIRST)
    with mock.patch.object(WorkflowExecution, "delete_unless_running", side_effect=refusal):
        answer = client_of(staff).post(f"{RUNS}{run.pk}/delete/", {"post": "yes", "reason": "noise"}, follow=True)
    assert "Cannot delete execution in running state: cancel it first" in answer.content.decode()


def test_a_running_run_is_left_out_and_the_others_are_deleted(staff: Any) -> None:
    running, ended = in_state(WorkflowExecutionFactory(), "running"), in_state(run_with_history(), "failed")
    html = delete_many(staff, running, ended).content.decode()
    assert "Delete 1 workflow execution</button>" in html
    assert "1 is left out" in html
    assert "Cancel it first, so that its engine is notified" in html
    assert [f'value="{run.pk}"' in html for run in (running, ended)] == [False, True]
    assert "node executions: 1, execution logs: 2." in html
    assert WorkflowExecution.objects.count() == 2
    delete_many(staff, ended, confirmed="yes", reason="noise")
    assert WorkflowExecution.objects.get() == running


def test_a_run_that_started_since_the_confirmation_is_kept_and_named(staff: Any) -> None:
    running, ended = in_state(WorkflowExecutionFactory(), "running"), in_state(WorkflowExecutionFactory(), "failed")
    said = messages_of(delete_many(staff, running, ended, confirmed="yes", reason="noise"))
    assert said[0].startswith(f"{running}: Cannot delete execution in running state: cancel it first")
    assert said[1] == "Deleted 1 workflow execution."
    assert WorkflowExecution.objects.get() == running
    assert LogEntry.objects.get().object_id == str(ended.pk)


def test_where_all_are_running_it_is_asked_again_with_what_was_typed(staff: Any) -> None:
    running = in_state(WorkflowExecutionFactory(), "running")
    html = delete_many(staff, running, confirmed="yes", reason="noise").content.decode()
    assert "Nothing can be done" in html
    assert "noise</textarea>" in html


def test_many_runs_are_deleted_by_one_statement(staff: Any) -> None:
    runs = [run_with_history() for _ in range(5)]
    assert "execution logs: 10." in delete_many(staff, *runs).content.decode()
    with CaptureQueriesContext(connection) as queries:
        delete_many(staff, *runs, confirmed="yes", reason="noise")
    assert not WorkflowExecution.objects.exists()
    assert len([query for query in queries if 'DELETE FROM "workflow' in query["sql"]]) == 1


def test_who_may_not_delete_cannot(teammate: Any, newcomer: Any, stranger: Any, owner: Any) -> None:
    run = run_with_history()
    for user in (teammate, newcomer, stranger, owner):
        response = client_of(user).post(f"{RUNS}{run.pk}/delete/", {"post": "yes", "reason": "noise"})
        assert response.status_code in {302, 403}
        delete_many(user, run, confirmed="yes", reason="noise")
    assert WorkflowExecution.objects.filter(pk=run.pk).exists()
