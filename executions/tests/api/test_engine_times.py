"""`at` of the calls for one row: the engine's own time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions.models import HistoryEntry, NodeExecution, WorkflowExecution
from executions.tests.api.calls import post
from workflows.models import Workflow

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2019, 3, 1, 12, tzinfo=UTC)


def ago(minutes: int) -> datetime:
    return LONG_AGO - timedelta(minutes=minutes)


def new_run(engine: Any, workflow: Workflow, **body: Any) -> str:
    return str(post(engine, "executions/", 201, workflow=workflow.pk, trigger_type="manual", **body)["id"])


def test_times_of_the_past_are_believed(engine: Any, workflow: Workflow) -> None:
    run = new_run(engine, workflow, at=ago(9))
    post(engine, f"executions/{run}/start/", at=ago(8))
    node = post(engine, f"executions/{run}/nodes/", 201, node="fetch", at=ago(7))["id"]
    post(engine, f"node-executions/{node}/start/", at=ago(6))
    post(engine, f"node-executions/{node}/fail/", error_message="no data", at=ago(5))
    post(engine, f"executions/{run}/fail/", error_message="no data", at=ago(4))
    row, part = WorkflowExecution.objects.get(), NodeExecution.objects.get()
    assert (row.created_at, row.started_at, row.ended_at) == (ago(9), ago(8), ago(4))
    assert (part.created_at, part.started_at, part.ended_at) == (ago(7), ago(6), ago(5))


def test_the_servers_own_time_is_kept(engine: Any, workflow: Workflow) -> None:
    before = timezone.now() - timedelta(minutes=1)
    run = new_run(engine, workflow, at=ago(9))
    post(engine, f"executions/{run}/start/", at=ago(8))
    assert WorkflowExecution.objects.get().updated_at > before
    assert {entry.act for entry in HistoryEntry.objects.filter(happened_at__gt=before)} == {"create", "start"}


def test_a_run_that_is_started_in_the_call_that_creates_it(engine: Any, workflow: Workflow) -> None:
    new_run(engine, workflow, at=LONG_AGO, start=True)
    row = WorkflowExecution.objects.get()
    assert (row.created_at, row.started_at) == (LONG_AGO, LONG_AGO)


def test_a_repeated_creation_is_the_same_with_and_without_the_time(engine: Any, workflow: Workflow) -> None:
    run = new_run(engine, workflow, at=LONG_AGO)
    body = {"id": run, "workflow": workflow.pk, "trigger_type": "manual"}
    assert post(engine, "executions/", **body)["id"] == run
    assert post(engine, "executions/", **body, at=LONG_AGO)["id"] == run
    post(engine, "executions/", 409, **body, at=ago(1))


@pytest.mark.parametrize("verb", ["start", "cancel", "complete", "fail", "retry"])
def test_the_future_is_refused(engine: Any, workflow: Workflow, verb: str) -> None:
    run = new_run(engine, workflow)
    soon = timezone.now() + timedelta(minutes=6)
    problem = post(engine, f"executions/{run}/{verb}/", 400, at=soon)
    assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [("/at", "at_in_future")]
    assert WorkflowExecution.objects.get().status == "pending"


def test_the_future_is_refused_at_creation(engine: Any, workflow: Workflow) -> None:
    soon = timezone.now() + timedelta(minutes=6)
    problem = post(engine, "executions/", 400, workflow=workflow.pk, trigger_type="manual", at=soon)
    assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [("/at", "at_in_future")]
    run = new_run(engine, workflow)
    problem = post(engine, f"executions/{run}/nodes/", 400, node="fetch", at=soon)
    assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [("/at", "at_in_future")]


def test_a_clock_that_is_fast_by_minutes_is_believed(engine: Any, workflow: Workflow) -> None:
    run = new_run(engine, workflow)
    soon = timezone.now() + timedelta(minutes=4)
    post(engine, f"executions/{run}/start/", at=soon)
    assert post(engine, f"executions/{run}/complete/")["duration_seconds"] == 0
    assert WorkflowExecution.objects.get().ended_at == soon


ENDS = pytest.mark.parametrize(("verb", "body"), [("complete", {}), ("fail", {"error_message": "x"}), ("cancel", {})])


@ENDS
def test_a_run_that_ends_before_its_start_is_refused(
    engine: Any, workflow: Workflow, verb: str, body: dict[str, str]
) -> None:
    run = new_run(engine, workflow, start=True, at=ago(5))
    problem = post(engine, f"executions/{run}/{verb}/", 400, at=ago(6), **body)
    assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [("/at", "end_before_start")]
    assert WorkflowExecution.objects.get().status == "running"


@ENDS
def test_a_node_that_ends_before_its_start_is_refused(
    engine: Any, workflow: Workflow, verb: str, body: dict[str, str]
) -> None:
    run = new_run(engine, workflow, start=True)
    node = post(engine, f"executions/{run}/nodes/", 201, node="fetch")["id"]
    post(engine, f"node-executions/{node}/start/", at=ago(4))
    problem = post(engine, f"node-executions/{node}/{verb}/", 400, at=ago(5), **body)
    assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [("/at", "end_before_start")]
    assert NodeExecution.objects.get().status == "running"


def test_nodes_that_their_run_ends_do_not_end_before_their_start(engine: Any, workflow: Workflow) -> None:
    run = new_run(engine, workflow, start=True, at=ago(9))
    node = post(engine, f"executions/{run}/nodes/", 201, node="fetch")["id"]
    post(engine, f"node-executions/{node}/start/", at=ago(3))
    post(engine, f"executions/{run}/cancel/", at=ago(5))
    assert (NodeExecution.objects.get().ended_at, WorkflowExecution.objects.get().ended_at) == (ago(3), ago(5))


def test_a_state_that_forbids_the_verb_is_said_before_the_time(engine: Any, workflow: Workflow) -> None:
    run = new_run(engine, workflow, start=True, at=ago(5))
    post(engine, f"executions/{run}/complete/", at=ago(4))
    assert post(engine, f"executions/{run}/fail/", 409, at=ago(6))["code"] == "invalid_transition"


def test_no_time_is_the_servers(engine: Any, workflow: Workflow) -> None:
    before = timezone.now() - timedelta(minutes=1)
    run = new_run(engine, workflow, at=None)
    post(engine, f"executions/{run}/start/", at=None)
    row = WorkflowExecution.objects.get()
    assert row.created_at > before
    assert row.started_at is not None
    assert row.started_at > before
