"""The list of workflows says when the next run of each is expected."""

import re
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts.deadlines import next_deadline
from alerts.models import Miss
from alerts.next_runs import find_next_runs
from alerts.tests.factories import expect, made_at
from alerts.tests.test_deadlines import EVERY_DAY, SEOUL, WEEKDAYS, utc
from executions.models import WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import WorkflowExecutionFactory, in_state
from ledgerkit.tests.clients import client_of
from ledgerkit.time_zones import clock
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

pytestmark = pytest.mark.django_db
LIST = "/admin/workflows/workflow/"
BY_CLOCK = {"time": time(9, 10), "time_zone": "UTC", "days": "every_day"}


@pytest.fixture
def client(staff: Any) -> Client:
    return client_of(staff)


def cell(client: Client, name: str) -> str:
    row = next(row for row in client.get(LIST).content.decode().split("<tr") if f">{name}</a>" in row)
    found = re.search(r'class="field-next_run[^"]*">(.*?)</td>', row, re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("now", "last_start", "due"),
    [
        (utc(2026, 11, 30, 0, 0), None, utc(2026, 11, 30, 0, 10)),  # 09:00 on a Monday in Seoul
        (utc(2026, 11, 30, 0, 0), utc(2026, 11, 29, 14, 59), utc(2026, 11, 30, 0, 10)),  # it started on the day before
        (utc(2026, 11, 30, 0, 0), utc(2026, 11, 29, 15), utc(2026, 12, 1, 0, 10)),  # it has started today
        (utc(2026, 11, 30, 0, 10), None, utc(2026, 12, 1, 0, 10)),
        (utc(2026, 12, 4, 1, 0), None, utc(2026, 12, 7, 0, 10)),  # a Friday
    ],
)
def test_the_next_deadline_is_that_of_the_next_day_without_a_start(
    now: datetime, last_start: datetime | None, due: datetime
) -> None:
    assert next_deadline(time(9, 10), SEOUL, WEEKDAYS, now, last_start) == due


def test_a_calendar_that_has_ended_has_no_next_deadline() -> None:
    assert next_deadline(time(9, 10), SEOUL, lambda _day: False, utc(2026, 11, 30), None) is None
    assert next_deadline(time(9, 10), SEOUL, EVERY_DAY, utc(2026, 11, 30), None) is not None


def test_a_success_is_due_its_interval_after_the_last_one(workflow: Workflow, staff: Any) -> None:
    expect(workflow, "success_every", seconds=86_400)
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "completed")
    in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
    ended = WorkflowExecution.objects.get(pk=run.pk).ended_at
    assert ended is not None
    expected = find_next_runs(staff, [workflow.pk])[workflow.pk]
    assert (expected.due, expected.is_missed) == (ended + timedelta(days=1), False)
    assert expected.sentence == "A success at least every 24 h."


def test_without_a_success_it_is_due_its_interval_after_it_was_made(workflow: Workflow, staff: Any) -> None:
    made = timezone.now() - timedelta(hours=2)
    made_at(expect(workflow, "success_every", seconds=3600), made)
    expected = find_next_runs(staff, [workflow.pk])[workflow.pk]
    assert (expected.due, expected.is_missed) == (made + timedelta(hours=1), True)


def test_what_is_due_first_is_shown_with_its_expectation(client: Client) -> None:
    workflow = WorkflowFactory(name="momentum")
    expect(workflow, "success_every", seconds=90 * 86_400)
    expect(workflow, "starts_by", **BY_CLOCK)
    due = next_deadline(time(9, 10), ZoneInfo("UTC"), EVERY_DAY, timezone.now(), None)
    assert due is not None
    shown = cell(client, "momentum")
    assert f"by {clock(due, 'minutes')}" in shown
    assert "Starts by 09:10 UTC, every day." in shown


def test_what_was_missed_is_due_since_then(client: Client) -> None:
    workflow = WorkflowFactory(name="momentum")
    since = timezone.now() - timedelta(hours=3)
    Miss.objects.create(expectation=expect(workflow, "starts_by", **BY_CLOCK), since=since, occurrence="start")
    assert f"due since {clock(since, 'minutes')}" in cell(client, "momentum")


def test_no_run_is_expected_without_an_expectation_of_one(client: Client) -> None:
    workflow = WorkflowFactory(name="momentum")
    expect(workflow, "ends_within", seconds=3600)
    expect(workflow, "starts_by", is_active=False, **BY_CLOCK)
    assert cell(client, "momentum") == "–"


def test_expectations_that_the_user_may_not_see_are_not_told(db: None) -> None:
    user = UserFactory(is_staff=True)
    user.user_permissions.set(permissions("view_workflow", "view_workflowexecution"))
    expect(WorkflowFactory(name="momentum"), "starts_by", **BY_CLOCK)
    assert cell(client_of(user), "momentum") == "–"


def test_next_runs_take_the_same_statements_for_any_number_of_workflows(client: Client) -> None:
    counts = []
    for _time in range(2):
        for _number in range(3):
            expect(WorkflowFactory(), "success_every", seconds=3600)
            expect(WorkflowFactory(), "starts_by", **BY_CLOCK)
        client.get(LIST)
        with CaptureQueriesContext(connection) as found:
            client.get(LIST)
        counts.append(len(found))
    assert counts[0] == counts[1]
