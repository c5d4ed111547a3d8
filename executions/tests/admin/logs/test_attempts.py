"""The log page marks attempts, filters by them, and lists the numbered lines that are missing."""

from typing import Any

import pytest
from django.urls import reverse

from executions.models import ExecutionLog, WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory, in_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(workflow: Any) -> WorkflowExecution:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
    ExecutionLog.objects.create(workflow_execution=run, level="info", message="first try")
    run.retry()
    ExecutionLog.objects.create(workflow_execution=run, level="info", message="second try", source="worker-3", seq=3)
    return run


def page(client: Any, run: WorkflowExecution, path: str = "") -> str:
    response = client.get(reverse("admin:executions_logs", args=[run.pk]) + path)
    content = response.getvalue() if response.streaming else response.content
    return str(content.decode())


def test_the_first_line_of_an_attempt_is_marked(admin_client: Any, run: WorkflowExecution) -> None:
    shown = page(admin_client, run)
    assert shown.count("is-begin") == 1
    assert '<span class="log-attempt">attempt 2</span>' in shown


def test_lines_are_filtered_by_the_attempt(admin_client: Any, run: WorkflowExecution) -> None:
    shown = page(admin_client, run, "?attempt=1")
    assert ("first try" in shown, "second try" in shown) == (True, False)
    assert admin_client.get(reverse("admin:executions_logs", args=[run.pk]) + "?attempt=0").status_code == 400


def test_missing_lines_are_named(admin_client: Any, run: WorkflowExecution) -> None:
    assert "Lines 1 to 2 of worker-3 are missing." in page(admin_client, run)


def test_missing_lines_are_named_on_the_page_of_the_run(admin_client: Any, run: WorkflowExecution) -> None:
    shown = admin_client.get(reverse("admin:executions_workflowexecution_change", args=[run.pk])).content.decode()
    assert "Lines 1 to 2 of worker-3 are missing." in shown
