"""Rows are what REST framework makes of their serializers' fields, which the schema describes."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.utils import timezone as django_timezone
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from executions.api import attempt_serializers as attempts
from executions.api import json_rows
from executions.api import serializers as ours
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.api.fixtures import period
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.rest.renderers import to_json

pytestmark = pytest.mark.django_db
LISTS = {
    ours.WorkflowExecutionListSerializer,
    ours.NodeExecutionListSerializer,
    attempts.WorkflowExecutionAttemptListSerializer,
    attempts.NodeExecutionAttemptListSerializer,
    ours.HistoryEntrySerializer,
    ours.ExecutionLogSerializer,
}
STATES = ["pending", "running", "completed", "failed", "cancelled"]


def assert_as_described(kind: Any, row: Any) -> None:
    found = kind.row(vars(row) if kind in LISTS else row)
    row.error_is_cut = False  # which lists add to the columns
    described = serializers.ModelSerializer.to_representation(kind(row), row)
    assert json.loads(to_json(found)) == json.loads(JSONRenderer().render(described))
    assert list(found) == [name for name in kind.Meta.fields if not kind().fields[name].write_only]


@pytest.mark.parametrize("state", STATES)
def test_a_run_and_its_node_in_every_state(state: str) -> None:
    run = in_state(WorkflowExecutionFactory(metadata={"tags": ["ü"]}, context={"variables": {"a": [1]}}), "running")
    node = in_state(NodeExecutionFactory(workflow_execution=run), state)
    run = in_state(WorkflowExecutionFactory(metadata={"tags": ["x"]}), state)
    for kind, row in [
        (ours.WorkflowExecutionSerializer, WorkflowExecution.objects.get(pk=run.pk)),
        (ours.WorkflowExecutionListSerializer, run),
        (ours.NodeExecutionSerializer, NodeExecution.objects.get(pk=node.pk)),
        (ours.NodeExecutionListSerializer, NodeExecution.objects.for_lists().get(pk=node.pk)),
        (ours.HistoryEntrySerializer, node.workflow_execution.history.last()),
    ]:
        assert_as_described(kind, row)


def test_a_line_and_an_attempt() -> None:
    node = in_state(NodeExecutionFactory(workflow_execution=in_state(WorkflowExecutionFactory(), "running")), "failed")
    node.retry()
    run = in_state(WorkflowExecutionFactory(), "failed")
    run.retry()
    line = ExecutionLogFactory(workflow_execution=node.workflow_execution, node_execution=node, data={"a": None})
    for kind, row in [
        (ours.ExecutionLogSerializer, line),
        (ours.ExecutionLogSerializer, ExecutionLogFactory()),
        (attempts.NodeExecutionAttemptSerializer, node.attempts.get()),
        (attempts.NodeExecutionAttemptListSerializer, node.attempts.get()),
        (attempts.WorkflowExecutionAttemptSerializer, run.attempts.get()),
        (attempts.WorkflowExecutionAttemptListSerializer, run.attempts.get()),
    ]:
        assert_as_described(kind, row)


def test_times_are_in_utc_in_every_time_zone() -> None:
    east = datetime(2026, 3, 1, 9, 0, 0, 5, tzinfo=timezone(timedelta(hours=9)))
    line = ExecutionLogFactory.build(timestamp=east)
    with django_timezone.override("Asia/Seoul"):
        assert timestamp_of(line) == "2026-03-01T00:00:00.000005Z"
    line.timestamp = east.astimezone(UTC)
    assert timestamp_of(line) == "2026-03-01T00:00:00.000005Z"


def timestamp_of(line: ExecutionLog) -> object:
    return json.loads(to_json(json_rows.log_row(vars(line))))["timestamp"]


def test_values_that_were_not_read_are_null_and_are_not_read_now(django_assert_num_queries: Any) -> None:
    run = WorkflowExecutionFactory(metadata={"tags": ["x"]})
    line = ExecutionLogFactory(workflow_execution=run)
    run = WorkflowExecution.objects.defer("metadata", "error_message", "context").get(pk=run.pk)
    line = ExecutionLog.objects.defer("message", "data").get(pk=line.pk)
    with django_assert_num_queries(0):
        row, full, of_line = json_rows.run_row(vars(run)), json_rows.run_detail(run), json_rows.log_row(vars(line))
    assert (row["metadata"], row["error_message"], row["error_is_cut"]) == (None, None, False)
    assert (full["context"], of_line["message"], of_line["data"]) == (None, None, None)


def test_a_serializer_leaves_out_what_the_request_does_not_name() -> None:
    run = WorkflowExecutionFactory()
    assert ours.WorkflowExecutionSerializer(run, context={"fields": ["id"]}).data == {"id": run.pk}
    assert len(ours.WorkflowExecutionSerializer(run, context={"fields": None}).data) > 10


def test_a_line_of_a_list_is_what_it_is_by_itself(api: Any, owner: Any, workflow: Any) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    node = in_state(NodeExecutionFactory(workflow_execution=run), "running")
    written = [
        ExecutionLogFactory(workflow_execution=run, message="ü", source="s", seq=2),
        ExecutionLogFactory(workflow_execution=run, node_execution=node, data=[]),
    ]
    lines = ExecutionLog.objects.in_bulk([line.pk for line in written])
    for address in (f"executions/{run.pk}/logs/", f"logs/{period()}&ordering=timestamp"):
        body = api(owner).get(f"/api/v1/{address}").content.decode()
        assert to_json([json_rows.log_row(vars(lines[line.pk])) for line in written]) in body
