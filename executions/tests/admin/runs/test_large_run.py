"""The page of a run of 500 nodes: every node is in the graph, and nothing else grows with their number."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from executions import ingest, limits
from executions.admin.charts import timeline
from executions.admin.nodes import node_admin, paging
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7
from workflows.submitted_graph import SubmittedGraph
from workflows.tests.factories import WorkflowFactory

NODES, WIDTH = 500, 10
# Five statements, under a timeout of their own, are of what needs attention; two of whether the error is known.
BYTES, STATEMENTS = 400_000, 38
OPEN = 'id="nodes">\n  <details class="run-part" open>'
NODE = ("id", "workflow_execution", "node", "status", "created_at", "started_at", "ended_at", "execution_order")


def large(size: int = NODES, lines: int = 300) -> WorkflowExecution:
    """Return a run with levels of ten nodes, each after two of the level before; the last one failed."""
    workflow = WorkflowFactory()
    names = [f"load the prices of market {number:03}" for number in range(size)]
    edges = [
        {"source_node_id": names[number - WIDTH - shift], "target_node_id": names[number]}
        for number in range(WIDTH, size)
        for shift in ({0, 1} if number % WIDTH else {0})
    ]
    SubmittedGraph(workflow, [{"name": name, "node_type": "tool"} for name in names], edges).save(workflow)
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    now, ids = timezone.now(), dict(workflow.nodes.values_list("name", "pk"))
    rows = [
        (uuid7(), run.pk, ids[name], "failed" if name == names[-1] else "completed", now, start, start, place // WIDTH)
        for place, name in enumerate(names)
        for start in [now + timedelta(milliseconds=place)]
    ]
    ingest.copy(NodeExecution, NODE, rows)
    ingest.write_lines(
        ExecutionLog(workflow_execution=run, level="info", message=f"line no. {number}") for number in range(lines)
    )
    return run


def page_of(client: Client, run: Any, query: str = "") -> str:
    response = client.get(reverse("admin:executions_workflowexecution_change", args=[run.pk]) + query)
    assert response.status_code == 200
    return response.content.decode()


def table(html: str) -> list[str]:
    return re.findall(r'<tr id="node-.*?<a href="[^"]*">([^<]*)</a>', html)


@pytest.mark.slow
def test_the_document_is_small_and_shows_every_node(client: Client) -> None:
    run = large()
    html = page_of(client, run)
    assert len(html.encode()) < BYTES
    assert html.count('<a class="box ') == NODES
    assert html.count('<a class="lane ') == timeline.LANES
    assert len(table(html)) == limits.NODES_PER_PAGE
    assert html.count("line no. ") == limits.LINES


@pytest.mark.slow
def test_the_page_of_a_large_run_takes_the_statements_of_a_small_one(client: Client) -> None:
    counts = []
    for run in (large(20, 3), large()):
        page_of(client, run)
        with CaptureQueriesContext(connection) as queries:
            page_of(client, run)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= STATEMENTS


def test_what_failed_is_in_the_timeline_and_the_others_are_drawn_when_asked_for(client: Client) -> None:
    run = large(150)
    html = page_of(client, run)
    assert html.count('<a class="lane status-failed"') == 1
    assert "50 more nodes are not drawn here" in html
    assert page_of(client, run, "?lanes=all").count('<a class="lane ') == 150


def test_the_lane_of_the_chosen_node_is_drawn(client: Client) -> None:
    run = large(150)
    chosen = run.node_executions.order_by("-started_at")[1]
    html = page_of(client, run, f"?node={chosen.pk}")
    assert f'class="lane status-completed" href="?node={chosen.pk}#node" aria-current="true"' in html


def test_the_table_goes_on_by_the_hundred(client: Client) -> None:
    run = large(150)
    names = [row.name for row in node_admin.nodes_of_run(client.get("/admin/").wsgi_request, run)]
    first, second = page_of(client, run), page_of(client, run, "?nodes=101")
    assert table(first) == names[:100]
    assert table(second) == names[100:]
    assert '<a href="?nodes=101#nodes" rel="next">' in first
    assert '<a href="?nodes=1#nodes" rel="prev">' in second
    assert "101 to 150 of 150" in second
    back = page_of(client, run, "?nodes=1")
    assert [OPEN in html for html in (first, second, back)] == [False, True, True]


def test_the_links_of_the_page_keep_what_was_chosen(client: Client) -> None:
    run = large(150)
    assert 'href="?nodes=101&amp;lanes=all#timeline"' in page_of(client, run, "?nodes=101")
    assert 'href="?lanes=all&amp;nodes=1#nodes"' in page_of(client, run, "?lanes=all&nodes=101")


def test_of_more_nodes_than_are_shown_no_number_is_made_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    run = large(30)
    monkeypatch.setattr(limits, "NODES", 29)
    html = page_of(client, run)
    assert "more than 29 executions" in html
    assert "These are the first 29 nodes." in html
    monkeypatch.setattr(limits, "NODES", 30)
    html = page_of(client, run)
    assert "30 executions" in html
    assert "These are the first" not in html


def test_every_earlier_attempt_of_a_node_is_counted(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=WorkflowFactory(chain=["a", "b"])), "running")
    for node in run.workflow.nodes.all():
        row = run.add_node(node)
        for _ in range(3):
            row.start()
            row.fail("no row")
            row.retry()
    monkeypatch.setattr(limits, "ATTEMPTS", 2)
    html = page_of(client, run)
    assert "3 earlier attempts of a" in html
    assert "3 earlier attempts of b" in html
    assert html.count("with their tracebacks</a>") == 2
    assert "not drawn here" not in html
    monkeypatch.setattr(limits, "DRAWN_ATTEMPTS", 2)
    html = page_of(client, run)
    assert "3 earlier attempts of b" in html
    assert "4 earlier attempts are not drawn here; newer ones are." in html


@pytest.mark.parametrize("asked", ["", "0", "-1", "151", "x", "1e3", "²", "9" * 5000])
def test_an_invalid_page_number_leads_to_the_first_page(asked: str) -> None:
    page = paging.node_page(list(range(150)), asked)
    assert (page.first, page.last, page.before, page.after) == (1, 100, None, 101)


def test_the_pages_of_a_table_leave_no_row_out() -> None:
    rows, seen, place = list(range(250)), [], "1"
    while place:
        page = paging.node_page(rows, place)
        seen += page.rows
        place = str(page.after or "")
    assert seen == rows
    assert paging.node_page(rows, "51").before == 1


def test_a_run_without_nodes_has_an_empty_table() -> None:
    page = paging.node_page([], "1")
    assert (page.rows, page.before, page.after) == ([], None, None)
