"""A run shows the name that its workflow had when it was created, whatever the workflow is called later."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from executions.models import Deletion, WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db
LISTS = ["workflowexecution", "nodeexecution", "executionlog"]


@pytest.fixture
def workflow(staff: Any) -> Workflow:
    return WorkflowFactory(owner=staff, name="momentum")


@pytest.fixture
def run(workflow: Workflow) -> WorkflowExecution:
    """Return a failed run of a workflow that was renamed since."""
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    NodeExecutionFactory(workflow_execution=run)
    ExecutionLogFactory(workflow_execution=run)
    run.fail("no prices")
    Workflow.objects.filter(pk=workflow.pk).update(name="value")
    return WorkflowExecution.objects.get(pk=run.pk)


@pytest.fixture
def page(client: Client, staff: Any) -> Any:
    client.force_login(staff)

    def get(name: str, *args: Any, query: str = "") -> str:
        response = client.get(reverse(name, args=args) + query)
        assert response.status_code == 200
        return response.text

    return get


def test_the_page_of_a_run_says_both_names(run: Any, page: Any) -> None:
    head = page("admin:executions_workflowexecution_change", run.pk).partition("ledger-head")[2][:1_500]
    assert ">momentum</a></strong>" in head
    assert "(now called value)" in head


def test_a_run_of_a_workflow_that_kept_its_name_says_it_once(workflow: Workflow, page: Any) -> None:
    text = page("admin:executions_workflowexecution_change", WorkflowExecutionFactory(workflow=workflow).pk)
    assert "now called" not in text


@pytest.mark.parametrize("model", LISTS)
def test_lists_say_the_name_of_the_run(run: Any, page: Any, model: str) -> None:
    rows = page(f"admin:executions_{model}_changelist", query="?all=1" if model == LISTS[0] else "")
    assert "momentum" in rows.partition('id="result_list"')[2].partition("</table>")[0]


def test_a_search_finds_runs_by_the_name_that_they_had(run: Any, workflow: Workflow, page: Any) -> None:
    later = WorkflowExecutionFactory(workflow=workflow)
    lists = "admin:executions_workflowexecution_changelist"
    assert [pk in page(lists, query="?q=momentum") for pk in (str(run.pk), str(later.pk))] == [True, False]
    assert [pk in page(lists, query="?q=value") for pk in (str(run.pk), str(later.pk))] == [False, True]


@pytest.mark.parametrize("model", LISTS)
def test_the_filter_by_workflow_finds_a_former_name(run: Any, page: Any, model: str) -> None:
    found = page(f"admin:executions_{model}_changelist", query="?find_workflow=MENT")
    assert f'name="workflow" value="{run.workflow_id}"> value (formerly momentum)</label>' in found
    assert "formerly" not in page(f"admin:executions_{model}_changelist", query="?find_workflow=val")


def test_the_monitor_and_the_log_say_the_name_of_the_run(run: Any, page: Any) -> None:
    failed = page("admin:index").partition('data-live="failed"')[2].partition("</section>")[0]
    assert "momentum" in failed
    assert "Log of momentum" in page("admin:executions_logs", run.pk)


def test_the_api_says_the_name_of_the_run(run: Any, staff: Any) -> None:
    client = APIClient()
    client.force_authenticate(staff)
    assert client.get(f"/api/v1/executions/{run.pk}/").json()["workflow_name"] == "momentum"
    assert client.get("/api/v1/executions/").json()["results"][0]["workflow_name"] == "momentum"


def test_a_run_that_is_retried_or_deleted_keeps_it(run: Any) -> None:
    run.retry()
    assert WorkflowExecution.objects.get(pk=run.pk).workflow_name == "momentum"
    run.delete()
    assert Deletion.objects.get(workflow_execution_id=run.pk).workflow_name == "momentum"


@pytest.mark.parametrize("way", ["save", "bulk", "sql"])
def test_every_way_in_is_named_by_the_database(workflow: Workflow, way: str) -> None:
    if way == "save":
        made = WorkflowExecution.objects.create(workflow=workflow, trigger_type="manual", workflow_name="forged")
        assert str(made) == f"momentum · {made.pk}"
    elif way == "bulk":
        WorkflowExecution.objects.bulk_create(
            [WorkflowExecution(workflow=workflow, trigger_type="manual", workflow_name="forged")]
        )
    else:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO workflow_executions (workflow_id, trigger_type, workflow_name) VALUES (%s, 'manual', 'x')",
                [workflow.pk],
            )
    assert WorkflowExecution.objects.get().workflow_name == "momentum"


def test_no_update_changes_it(run: Any) -> None:
    WorkflowExecution.objects.filter(pk=run.pk).update(workflow_name="forged")
    run.refresh_from_db()
    assert run.workflow_name == "momentum"
