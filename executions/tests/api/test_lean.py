"""What is read the short way is what REST framework's own way shows."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.utils import timezone as django_timezone
from rest_framework import serializers

from executions.api import serializers as ours
from executions.api.fast_serializers import LeanSerializer
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7

pytestmark = pytest.mark.django_db
STATES = ["pending", "running", "completed", "failed", "cancelled"]


def both(kind: Any, row: Any) -> tuple[Any, Any]:
    return kind(row).data, serializers.ModelSerializer.to_representation(kind(row), row)


@pytest.mark.parametrize("state", STATES)
def test_a_run_and_its_node_in_every_state(state: str) -> None:
    run = in_state(WorkflowExecutionFactory(metadata={"tags": ["ü"]}, context={"variables": {"a": [1]}}), "running")
    node = in_state(NodeExecutionFactory(workflow_execution=run), state)
    run = in_state(WorkflowExecutionFactory(metadata={"tags": ["x"]}), state)
    rows = [
        (ours.WorkflowExecutionSerializer, WorkflowExecution.objects.get(pk=run.pk)),
        (ours.WorkflowExecutionListSerializer, run),
        (ours.NodeExecutionSerializer, NodeExecution.objects.get(pk=node.pk)),
        (ours.NodeExecutionListSerializer, node),
    ]
    for kind, row in rows:
        short, long = both(kind, row)
        assert short == long
        assert list(short) == [name for name in kind.Meta.fields if name != "start"]  # type: ignore[attr-defined]


def test_a_line_and_an_attempt() -> None:
    node = in_state(NodeExecutionFactory(workflow_execution=in_state(WorkflowExecutionFactory(), "running")), "failed")
    node.retry()
    line = ExecutionLogFactory(workflow_execution=node.workflow_execution, node_execution=node, data={"a": None})
    for kind, row in [
        (ours.ExecutionLogSerializer, line),
        (ours.ExecutionLogSerializer, ExecutionLogFactory()),
        (ours.NodeExecutionAttemptSerializer, node.attempts.get()),
    ]:
        short, long = both(kind, row)
        assert short == long


def test_times_are_told_in_utc_whatever_zone_they_are_in_and_the_thread_works_in() -> None:
    east = datetime(2026, 3, 1, 9, 0, 0, 5, tzinfo=timezone(timedelta(hours=9)))
    line = ExecutionLogFactory.build(timestamp=east)
    with django_timezone.override("Asia/Seoul"):
        assert ours.ExecutionLogSerializer(line).data["timestamp"] == "2026-03-01T00:00:00.000005Z"
    line.timestamp = east.astimezone(UTC)
    assert ours.ExecutionLogSerializer(line).data["timestamp"] == "2026-03-01T00:00:00.000005Z"


def test_serializers_of_one_class_have_fields_of_their_own() -> None:
    one, other = (ours.WorkflowExecutionSerializer(context={"fields": names}) for names in (["id"], None))
    assert list(one.fields) == ["id"]
    assert other.fields["id"] is not one.fields["id"]
    assert (one.fields["id"].parent, other.fields["id"].parent) == (one, other)
    assert list(ours.WorkflowExecutionSerializer().fields) == list(other.fields)


RUN = {"workflow": None, "trigger_type": "event"}
LINE = {"level": "info", "message": "a"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ours.ExecutionLogSerializer, LINE),
        (ours.ExecutionLogSerializer, LINE | {"data": {"a": [1]}, "timestamp": "2026-03-01T00:00:00+09:00"}),
        (ours.ExecutionLogSerializer, LINE | {"data": None, "node_execution": None}),
        (ours.ExecutionLogSerializer, {}),
        (ours.ExecutionLogSerializer, {"level": "loud", "message": None, "id": "x", "node_execution": 5}),
        (ours.ExecutionLogSerializer, {"level": [], "message": {}, "id": None, "timestamp": "yesterday"}),
        (ours.ExecutionLogSerializer, LINE | {"node_execution": "0195f3c0-0000-7000-8000-000000000000"}),
        (ours.ExecutionLogSerializer, LINE | {"id": "0195f3c0-0000-4000-8000-000000000000"}),
        (ours.ExecutionLogSerializer, [LINE]),
        (ours.WorkflowExecutionSerializer, RUN),
        (ours.WorkflowExecutionSerializer, {"workflow": "x", "metadata": [], "context": None, "input_data": 5}),
        (ours.WorkflowExecutionSerializer, {"workflow": str(uuid7()), "trigger_type": "Event", "status": "failed"}),
        (ours.NodeExecutionSerializer, {"execution_order": -1}),
    ],
)  # fmt: skip
def test_a_body_is_taken_and_refused_as_rest_framework_does(kind: Any, body: Any) -> None:
    def said(check: Any) -> Any:
        try:
            return check(kind(context={"node_executions": ()}), body)
        except serializers.ValidationError as error:
            return error.detail

    found = said(LeanSerializer.to_internal_value)
    assert found == said(serializers.Serializer.to_internal_value)
    assert repr(found) == repr(said(serializers.Serializer.to_internal_value))  # their codes too
