"""Orderings, cursors, fields and expansions of the lists of runs, over HTTP."""

import gc
import weakref
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db.models.sql.compiler import SQLCompiler
from rest_framework.test import APIRequestFactory, force_authenticate

from executions.api.views.logs import LogsOfExecutionViewSet
from executions.tests.api.list_requests import DAY, RUNS, at, follow_pages, pointers_of
from executions.tests.factories import (
    ExecutionLogFactory,
    NodeExecutionFactory,
    WorkflowExecutionFactory,
    in_state,
)
from workflows.models import Workflow


@pytest.mark.parametrize("name", ["created", "started", "duration"])
def test_an_order_is_kept_over_pages_with_and_without_the_value(
    api: Any, owner: Any, workflow: Workflow, name: str
) -> None:
    for hour in (3, 1, 2, 1):
        started = {"status": "completed", "started_at": DAY, "ended_at": DAY + timedelta(hours=hour)}
        if name == "started":
            started |= {"started_at": DAY + timedelta(hours=hour), "ended_at": DAY + timedelta(days=9)}
        at(WorkflowExecutionFactory(workflow=workflow), created_at=DAY + timedelta(hours=hour), **started)
    for _ in range(3):
        at(WorkflowExecutionFactory(workflow=workflow), created_at=DAY)
    client = api(owner)
    up = follow_pages(client, f"{RUNS}?ordering={name}&page_size=2")
    assert len({row["id"] for row in up}) == len(up) == 7
    assert [row["started_at"] is None for row in up] == [True] * 3 + [False] * 4
    column = {"created": "created_at", "started": "started_at", "duration": "duration_seconds"}[name]
    values = [row[column] for row in up[3:]]
    assert values == sorted(values)
    assert follow_pages(client, f"{RUNS}?ordering=-{name}&page_size=2") == up[::-1]


def test_a_cursor_belongs_to_its_ordering(api: Any, owner: Any, workflow: Workflow) -> None:
    WorkflowExecutionFactory.create_batch(3, workflow=workflow)
    client = api(owner)
    link = client.get(f"{RUNS}?ordering=created&page_size=1").json()["next"]
    assert pointers_of(client.get(link.replace("ordering=created", "ordering=started"))) == ["?cursor"]


def test_a_link_keeps_every_value_of_a_filter(api: Any, owner: Any, workflow: Workflow) -> None:
    for state in ("failed", "cancelled", "completed") * 2:
        in_state(WorkflowExecutionFactory(workflow=workflow), state)
    rows = follow_pages(api(owner), f"{RUNS}?status=failed&status=cancelled&page_size=1")
    assert sorted(row["status"] for row in rows) == ["cancelled"] * 2 + ["failed"] * 2


@pytest.mark.parametrize("order", ["", "&ordering=created", "&ordering=-created"])
@pytest.mark.parametrize("chosen", ["", "status=failed"])
def test_staff_read_the_runs_of_all_or_of_one_status_as_by_any_filter(
    api: Any, staff: Any, workflow: Workflow, chosen: str, order: str
) -> None:
    """These lists, which tools read most, are compiled once."""
    for hour, state in enumerate(("failed", "completed", "failed", "cancelled", "failed")):
        at(in_state(WorkflowExecutionFactory(workflow=workflow), state), created_at=DAY + timedelta(hours=hour))
    client = api(staff)
    rows = follow_pages(client, f"{RUNS}?{chosen}&page_size=2{order}".replace("?&", "?"))
    assert len(rows) == (3 if chosen else 5)
    same = chosen.replace("status=failed", "status=failed,failed") or "status=failed,completed,cancelled"
    assert follow_pages(client, f"{RUNS}?{same}&page_size=2{order}") == rows


def test_a_list_of_one_status_is_compiled_once(api: Any, staff: Any, workflow: Workflow) -> None:
    in_state(WorkflowExecutionFactory(workflow=workflow), "failed")
    client = api(staff)
    for status, number in (("failed", 1), ("completed", 0), ("failed", 1)):
        with mock.patch.object(SQLCompiler, "as_sql", autospec=True, side_effect=SQLCompiler.as_sql) as compiled:
            assert len(client.get(f"{RUNS}?status={status}").json()["results"]) == number
        tables = [call.args[0].query.model._meta.db_table for call in compiled.mock_calls]
    assert "workflow_executions" not in tables


# --- Fewer fields, and more ----------------------------------------------------
def test_fields_leave_the_others_out_and_unread(
    api: Any, owner: Any, workflow: Workflow, django_assert_num_queries: Any
) -> None:
    run = WorkflowExecutionFactory(workflow=workflow, input_data={"big": 1})
    client = api(owner)
    with django_assert_num_queries(2) as captured:
        row = client.get(f"{RUNS}{run.pk}/?fields=id,status,duration_seconds").json()
    assert row == {"id": str(run.pk), "status": "pending", "duration_seconds": None}
    for column in ("input_data", "output_data", "context", "metadata", "error_message"):
        assert column not in captured[-1]["sql"]
    with django_assert_num_queries(3) as captured:
        assert client.get(f"{RUNS}?fields=id,metadata").json()["results"] == [{"id": str(run.pk), "metadata": {}}]
    assert "error_message" not in captured[-1]["sql"]
    assert client.get(f"{RUNS}{run.pk}/?fields=id&fields=metadata,attempt").json().keys() == {
        "id",
        "metadata",
        "attempt",
    }


def test_expand_shows_nodes_and_the_newest_lines_with_a_constant_number_of_queries(
    api: Any, owner: Any, workflow: Workflow, django_assert_num_queries: Any
) -> None:
    run, client = WorkflowExecutionFactory(workflow=workflow), api(owner)
    for lines in (5, 200):
        NodeExecutionFactory.create_batch(3, workflow_execution=run)
        ExecutionLogFactory.create_batch(lines, workflow_execution=run)
        with django_assert_num_queries(4):  # the token, the run, its nodes, its lines
            row = client.get(f"{RUNS}{run.pk}/?expand=nodes,logs&fields=id").json()
    assert set(row) == {"id", "nodes", "logs"}
    assert len(row["nodes"]) == 6
    assert "input_data" not in row["nodes"][0]
    assert [line["id"] for line in row["logs"]] == [str(line.pk) for line in run.logs.all()][-200:]


@pytest.mark.parametrize(("query", "pointer"), [("expand=x", "?expand"), ("fields=x", "?fields"), ("q=abc", "?q")])
def test_a_parameter_of_lists_is_refused_for_one_run(
    api: Any, owner: Any, workflow: Workflow, query: str, pointer: str
) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    assert pointers_of(api(owner).get(f"{RUNS}{run.pk}/?{query}")) == [pointer]


def test_the_rows_of_a_list_are_freed_with_their_response(owner: Any, workflow: Workflow) -> None:
    """Else they are in memory until Python searches for garbage, which takes longer the more there is."""
    run = WorkflowExecutionFactory(workflow=workflow)
    ExecutionLogFactory.create_batch(3, workflow_execution=run)
    request = APIRequestFactory().get("/")
    force_authenticate(request, owner)
    gc.disable()
    try:
        response = LogsOfExecutionViewSet.as_view({"get": "list"})(request, execution_id=run.pk).render()
        assert len(response.data["results"]) == 3
        paginator, left = response.renderer_context["view"].paginator, weakref.ref(response)
        del response
        assert left() is None
    finally:
        gc.enable()
    assert len(paginator.ends.rows) == 2  # the first and the last, of which links are made
