"""Lists that are searched for a text. They are not read to their end where few or old rows match."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import limits, text_search
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.api.list_requests import DAY, LOGS, NODES, RUNS, follow_pages, ids
from executions.tests.database.test_schema import rows
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.tests.query_plans import plan
from ledgerkit.db.timeouts import StatementTimeout
from workflows.tests.factories import WorkflowFactory

PERIOD = f"after={DAY:%Y-%m-%d}T00:00:00Z&before={DAY + timedelta(days=31):%Y-%m-%d}T00:00:00Z"
ADDRESSES = {"lines": f"{LOGS}?{PERIOD}&q=refused", "nodes": f"{NODES}?q=refused"}
WITHOUT_INDEX = {"lines": '"timestamp" + ', "nodes": '"created_at" + '}


@pytest.fixture
def found(owner: Any) -> dict[str, list[str]]:
    """Make two lines and two nodes with the text; return their ids, the newest first."""
    nodes = [in_state(NodeExecutionFactory(workflow_execution__workflow__owner=owner), "failed") for _ in range(2)]
    type(nodes[0]).objects.update(error_message="connection refused")
    lines = [
        ExecutionLogFactory(
            workflow_execution=node.workflow_execution, level="error", message="connection refused",
            timestamp=DAY + timedelta(minutes=minute),
        )
        for minute, node in enumerate(nodes)
    ]  # fmt: skip
    return {name: [str(row.pk) for row in reversed(rows)] for name, rows in (("lines", lines), ("nodes", nodes))}


def record_limits(monkeypatch: pytest.MonkeyPatch, *, exceeded: bool) -> list[int]:
    """Return the limits of time that are asked for. None is set, as a busy machine could exceed it."""
    tried: list[int] = []

    @contextmanager
    def record(milliseconds: int) -> Iterator[None]:
        tried.append(milliseconds)
        yield
        if exceeded:
            raise StatementTimeout

    monkeypatch.setattr(text_search, "statement_timeout", record)
    return tried


@pytest.mark.parametrize("kind", ADDRESSES)
def test_rows_that_are_not_found_in_order_in_time_come_from_the_index_on_the_text(
    kind: str, api: Any, owner: Any, found: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def too_long(milliseconds: int) -> Iterator[None]:
        if milliseconds <= limits.LONG_WALK_MS:
            raise StatementTimeout
        yield

    monkeypatch.setattr(text_search, "statement_timeout", too_long)
    client = api(owner)
    with CaptureQueriesContext(connection) as queries:
        first = client.get(f"{ADDRESSES[kind]}&page_size=1")
    assert WITHOUT_INDEX[kind] in queries[-1]["sql"].partition("ORDER BY")[2]
    second = client.get(first.json()["next"])
    assert [*ids(first), *ids(second)] == found[kind]
    assert ids(client.get(second.json()["previous"])) == ids(first)


@pytest.mark.parametrize("kind", ADDRESSES)
def test_rows_that_are_not_found_in_time_at_all_are_found_without_a_limit(
    kind: str, api: Any, owner: Any, found: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = record_limits(monkeypatch, exceeded=True)
    assert ids(api(owner).get(ADDRESSES[kind])) == found[kind]
    assert tried == [*([10, 25, 200, 200, 300] if kind == "lines" else [100, 100]), 300, 1_000, 5_000]


@pytest.mark.django_db
def test_no_index_has_the_order_of_the_search_by_the_text_alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
    for model, time in ((ExecutionLog, "timestamp"), (NodeExecution, "created_at")):
        order = [f"-{time}", "-id"]
        walk = plan(model.objects.order_by(*order)[:51])
        assert ("Index Scan" in walk, "-> Sort" in walk) == (True, False)
        assert "-> Sort" in plan(model.objects.order_by(*text_search.without_index(order))[:51])


def test_lines_are_first_walked_along_for_a_moment(
    api: Any, owner: Any, found: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Avoid the index of the texts: where many have the text, the planner would read all of these."""
    tried = record_limits(monkeypatch, exceeded=False)
    with CaptureQueriesContext(connection) as queries:
        assert ids(api(owner).get(ADDRESSES["lines"])) == found["lines"]
    assert tried == [10]
    before = " ".join(query["sql"] for query in queries).partition("ORDER BY")[0]
    assert "set_config('enable_sort', 'off', true)" in before


@pytest.mark.parametrize("kind", ADDRESSES)
def test_each_statement_of_a_search_in_order_has_a_time_limit(
    kind: str, api: Any, owner: Any, found: dict[str, list[str]]
) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert ids(api(owner).get(ADDRESSES[kind])) == found[kind]
    places = [number for number, query in enumerate(queries) if "ORDER BY" in query["sql"]]
    assert places  # several where a busy machine exceeds the first limit
    for place in places:
        assert "statement_timeout" in "".join(query["sql"] for query in queries[place - 2 : place])


def test_runs_with_a_text_in_an_error_are_walked_along_for_a_moment_and_then_read_by_the_indexes_on_the_texts(
    api: Any, owner: Any, found: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk that finds nothing costs 10 ms, not the 200 ms in which other searches try to keep the list's order."""
    tried = record_limits(monkeypatch, exceeded=True)
    with CaptureQueriesContext(connection) as queries:
        assert api(owner).get(f"{RUNS}?error=refused").json()["results"]
    assert tried == [10, 25, 200, 200, 300, 300, 1_000, 5_000]
    lists = [query["sql"] for query in queries if "LIMIT" in query["sql"] and "ORDER BY" in query["sql"]]
    assert ["UNION ALL" in sql for sql in lists] == [*[False, True] * 4, False]


@pytest.mark.parametrize("order", ["", "&ordering=created"])
def test_runs_with_a_rare_text_in_an_error_come_from_the_indexes_on_the_texts(
    order: str, api: Any, owner: Any, found: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def too_long(milliseconds: int) -> Iterator[None]:
        if milliseconds <= limits.LONG_WALK_MS:
            raise StatementTimeout
        yield

    nodes = NodeExecution.objects.filter(pk__in=found["nodes"])
    newest = nodes.order_by("-workflow_execution__created_at").values_list("workflow_execution", flat=True)
    expected = [*map(str, newest)][:: -1 if order else 1]
    client, address = api(owner), f"{RUNS}?error=refused&page_size=1{order}"
    assert [row["id"] for row in follow_pages(client, address)] == expected
    monkeypatch.setattr(text_search, "statement_timeout", too_long)
    assert [row["id"] for row in follow_pages(client, address)] == expected
    with CaptureQueriesContext(connection) as queries:
        client.get(address)
    assert "UNION ALL" in queries[-1]["sql"]


@pytest.fixture
def failed(owner: Any) -> list[str]:
    """Make eight failed runs of a workflow, of which every other one was refused; return the ids of these, the newest
    first."""
    workflow = WorkflowFactory(owner=owner)
    runs = [in_state(WorkflowExecutionFactory(workflow=workflow), "failed") for _ in range(8)]
    for number, run in enumerate(runs):
        text = "timed out" if number % 2 else "connection refused"
        type(run).objects.filter(pk=run.pk).update(error_message=text)
    return [str(run.pk) for run in runs[-2::-2]]


@pytest.mark.parametrize(("most", "is_walk"), [(8, True), (7, False)])
def test_a_text_in_the_few_errors_of_a_workflow_is_found_by_reading_these(
    only: Any, most: int, is_walk: bool, api: Any, owner: Any, failed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the planner choose where there are many."""
    monkeypatch.setattr(limits, "FEW_ERRORS", most)
    client, workflow = api(owner), WorkflowExecution.objects.get(pk=failed[0]).workflow_id
    with CaptureQueriesContext(connection) as queries:
        assert ids(client.get(f"{RUNS}?workflow={workflow}&q=refused")) == failed
    assert any("set_config('enable_sort', 'off', true)" in query["sql"] for query in queries) is is_walk
    only("workflow_executions", "idx_workflow_executions_workflow_failed")
    [counting] = [query["sql"] for query in queries if f"OFFSET {most}" in query["sql"]]
    assert "Index Only Scan using idx_workflow_executions_workflow_failed" in str(rows(f"EXPLAIN {counting}"))
    for order, expected in (("", failed), ("&ordering=created", failed[::-1])):
        found = follow_pages(client, f"{RUNS}?workflow={workflow}&q=refused&page_size=1{order}")
        assert [row["id"] for row in found] == expected
