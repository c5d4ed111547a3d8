"""The list of runs while it is looked at: its rows are fetched alone, as the list with its filters has them."""

from datetime import timedelta
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions.models import SavedView
from executions.tests.factories import WorkflowExecutionFactory, in_state

RUNS = "/admin/executions/workflowexecution/"


def rows(client: Client, query: str = "") -> str:
    response = client.get(f"{RUNS}?part=rows{query}")
    assert response.status_code == 200
    return response.content.decode()


def test_the_rows_come_alone_and_as_the_filters_leave_them(client: Client) -> None:
    failed, other = in_state(WorkflowExecutionFactory(), "failed"), WorkflowExecutionFactory()
    html = rows(client, "&status=failed")
    assert "<html" not in html
    assert html.count("<table") == 1
    assert str(failed.pk) in html
    assert str(other.pk) not in html


def test_refreshed_rows_are_the_rows_of_the_page(client: Client) -> None:
    WorkflowExecutionFactory(created_at=timezone.now() - timedelta(hours=60.5))  # its age is no other a moment later
    page = client.get(f"{RUNS}?status=pending").content.decode()
    row = rows(client, "&status=pending").split("<tbody>")[1].split("</tbody>")[0]
    assert row in page


def test_no_link_in_them_asks_for_the_rows_again(client: Client) -> None:
    WorkflowExecutionFactory()
    html = rows(client, "&status=pending")
    assert "_changelist_filters=status%3Dpending" in html
    assert "rows" not in html


def test_a_default_view_does_not_come_between(client: Client, staff: Any) -> None:
    run = WorkflowExecutionFactory()
    SavedView(owner=staff, name="failed", filters={"status": "failed"}, is_default=True).put()
    assert str(run.pk) in rows(client)


def test_where_nothing_fits_there_is_no_table(client: Client) -> None:
    assert "<table" not in rows(client, "&status=failed")


def test_a_refusal_is_one_and_no_empty_table(client: Client) -> None:
    assert client.get(f"{RUNS}?part=rows&status=bogus").status_code == 400
    assert Client().get(f"{RUNS}?part=rows").status_code == 302


def test_refreshed_rows_take_the_same_queries_for_50_as_for_5(client: Client) -> None:
    counts = []
    for more in (5, 45):
        WorkflowExecutionFactory.create_batch(more)
        with CaptureQueriesContext(connection) as queries:
            rows(client)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 14


def test_the_page_says_politely_what_is_new_in_words_that_are_translated(client: Client) -> None:
    html = client.get(RUNS).content.decode()
    assert 'id="list-news" role="status"' in html
    assert 'data-one="%n new run"' in html
    assert 'data-other="%n new runs"' in html
