"""The order and the columns of the list of runs, which its address has."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from executions.models import WorkflowExecution
from executions.tests.admin.filters.changelists import pks
from executions.tests.factories import WorkflowExecutionFactory, in_state
from executions.tests.query_plans import plan, uses
from workflows.tests.factories import WorkflowFactory

RUNS = "/admin/executions/workflowexecution/"
DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def runs(db: None) -> list[Any]:
    """60 runs, each a minute longer than the one that was created before it and started a day before it."""
    workflow, made = WorkflowFactory(), []
    for number in range(60):
        start = DAY - timedelta(days=number)
        times = {"started_at": start, "ended_at": start + timedelta(minutes=number)}
        times["created_at"] = start + timedelta(days=2 * number)
        made.append(WorkflowExecutionFactory.build(workflow=workflow, status="completed", **times))
    WorkflowExecution.objects.bulk_create(made)
    return [run.pk for run in made]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "is_reversed"),
    [("created", False), ("-started", False), ("started", True), ("-duration", True), ("duration", False)],
)
def test_each_order_is_paged_forward_and_back(client: Client, runs: list[Any], order: str, is_reversed: bool) -> None:
    expected = runs[::-1] if is_reversed else runs
    first = client.get(f"{RUNS}?order={order}").context["cl"]
    second = client.get(RUNS + first.older_link).context["cl"]
    assert pks(first) + pks(second) == expected
    assert pks(client.get(RUNS + second.newer_link).context["cl"]) == expected[:50]


@pytest.mark.parametrize(
    ("order", "index"),
    [("started", "started"), ("-started", "started"), ("duration", "duration"), ("created", "created")],
)
def test_an_index_has_each_order(only: Any, client: Client, order: str, index: str) -> None:
    only("workflow_executions", f"idx_workflow_executions_{index}")
    found = plan(client.get(f"{RUNS}?order={order}").context["cl"].queryset[:51])
    assert uses(found, f"idx_workflow_executions_{index}")
    assert "Sort" not in found


def test_a_heading_sorts_and_turns_the_order(client: Client, runs: list[Any]) -> None:
    html = client.get(f"{RUNS}?status=completed").content.decode()
    assert '<a href="?order=-duration&amp;status=completed">Duration' in html
    html = client.get(f"{RUNS}?status=completed&order=-duration").content.decode()
    assert 'aria-sort="descending"' in html
    assert '<a href="?order=duration&amp;status=completed">Duration' in html
    assert 'id="list-news"' not in html  # new runs would be put first


def test_the_columns_are_those_of_the_address(client: Client) -> None:
    run = in_state(WorkflowExecutionFactory(metadata={"tags": ["nightly"]}), "failed")
    html = client.get(f"{RUNS}?columns=duration,ended,run_id").content.decode()
    table = html.partition('id="result_list"')[2].partition("</table>")[0]
    assert table.count("<th scope=") == 5  # with the checkbox and the status
    for shown in ("field-state", "field-duration", "field-ended", f"<code>{run.pk}</code>"):
        assert shown in table
    assert "field-named_workflow" not in table
    assert "nightly" not in table
    assert "filter-chips" not in html
    assert client.get(f"{RUNS}?columns=bogus").status_code == 400


def test_a_search_and_a_period_keep_the_order(client: Client, runs: list[Any]) -> None:
    found = pks(client.get(f"{RUNS}?order=-duration&from=2026-02-01T00:00:00Z&time=started").context["cl"])
    assert found == runs[28::-1]
