"""The list of workflows, with what is known of their runs."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions.tests.cast import permissions
from executions.tests.factories import WorkflowExecutionFactory, in_state
from workflows.tests.factories import UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db
LIST = "/admin/workflows/workflow/"


@pytest.fixture
def page(teammate: Any) -> Client:
    client = Client()
    client.force_login(teammate)
    return client


def cells(html: str, name: str) -> dict[str, str]:
    """Return the texts of the row of a workflow, by the names of the columns."""
    row = next(row for row in html.split("<tr") if f">{name}</a>" in row)
    found = re.findall(r'<td[^>]* class="field-(\w+)[^"]*">(.*?)</td>', row, re.DOTALL)
    return {column: " ".join(re.sub("<[^>]+>", " ", text).split()) for column, text in found}


def test_a_workflow_shows_its_last_run_and_its_success(page: Client) -> None:
    workflow = WorkflowFactory(name="momentum")
    for state in ("completed", "completed", "completed", "failed"):
        in_state(WorkflowExecutionFactory(workflow=workflow), state)
    row = cells(page.get(LIST).content.decode(), "momentum")
    assert row["last_run"].startswith("failed ")
    assert row["success"] == "75.0 %"


def test_a_workflow_without_runs_shows_dashes(page: Client) -> None:
    WorkflowFactory(name="unused")
    row = cells(page.get(LIST).content.decode(), "unused")
    assert (row["last_run"], row["success"], row["trend"]) == ("–", "–", "–")


def test_runs_that_ended_long_ago_count_no_longer(page: Client) -> None:
    workflow = WorkflowFactory(name="momentum")
    run = WorkflowExecutionFactory(workflow=workflow, created_at=timezone.now() - timedelta(days=22))
    run.start(at=timezone.now() - timedelta(days=22))
    run.complete(at=timezone.now() - timedelta(days=21))
    row = cells(page.get(LIST).content.decode(), "momentum")
    assert (row["last_run"], row["success"]) == ("completed 3 weeks ago", "–")


def test_the_list_takes_the_same_statements_for_any_number_of_workflows(page: Client) -> None:
    counts = []
    for _time in range(2):
        for _number in range(3):
            in_state(WorkflowExecutionFactory(), "completed")
        page.get(LIST)
        with CaptureQueriesContext(connection) as found:
            page.get(LIST)
        counts.append(len(found))
    assert counts[0] == counts[1]


def test_users_who_may_not_see_runs_see_none_of_them() -> None:
    user = UserFactory(is_staff=True)
    user.user_permissions.set(permissions("view_workflow"))
    client = Client()
    client.force_login(user)
    in_state(WorkflowExecutionFactory(), "completed")
    assert "field-last_run" not in client.get(LIST).content.decode()
