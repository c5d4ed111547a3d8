"""A run again over the API, and a retry beyond max_retries."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.models import WorkflowExecution
from executions.tests.api.calls import post
from executions.tests.factories import WorkflowExecutionFactory, in_state, run_with_nodes
from ledgerkit.db.models import uuid7
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(workflow: Workflow) -> WorkflowExecution:
    return in_state(WorkflowExecutionFactory(workflow=workflow, input_data={"day": "2026-11-27"}), "failed")


def test_a_rerun_returns_the_new_run(engine: Any, run: Any) -> None:
    new = post(engine, f"executions/{run.pk}/rerun/", 201, input_data={"day": "2026-11-28"}, reason="late prices")
    assert (new["status"], new["input_data"]) == ("pending", {"day": "2026-11-28"})
    assert new["metadata"]["rerun_of"] == str(run.pk)
    [created] = engine.get(f"/api/v1/executions/{new['id']}/history/").json()["results"]
    assert created["reason"] == "late prices"


def test_the_runs_that_run_one_again_are_a_list(engine: Any, run: Any) -> None:
    new = post(engine, f"executions/{run.pk}/rerun/", 201)
    [found] = engine.get(f"/api/v1/executions/?rerun_of={run.pk}").json()["results"]
    assert found["id"] == new["id"]


def test_a_repeated_request_with_an_id_makes_one_run(engine: Any, run: Any) -> None:
    id = uuid7()
    post(engine, f"executions/{run.pk}/rerun/", 201, id=id)
    assert post(engine, f"executions/{run.pk}/rerun/", 200, id=id)["id"] == str(id)
    assert WorkflowExecution.objects.count() == 2


def test_the_id_of_another_run_is_refused(engine: Any, run: Any) -> None:
    other = WorkflowExecutionFactory()
    refused = post(engine, f"executions/{run.pk}/rerun/", 409, id=other.pk)
    assert refused["code"] == "exists_with_other_content"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"input_data": []}, "/input_data"),
        ({"input_data": {"a": float("nan")}}, "/input_data/a"),
        ({"from_node": "elsewhere"}, "/from_node"),
        ({"from_node": 3}, "/from_node"),
        ({"id": "9f0c1d9e-2f0e-4f0e-8f0e-9f0c1d9e2f0e"}, "/id"),
        ({"unknown": 1}, "/unknown"),
    ],
    ids=str,
)
def test_an_invalid_rerun_is_400_and_creates_no_run(engine: Any, run: Any, body: Any, pointer: str) -> None:
    refused = post(engine, f"executions/{run.pk}/rerun/", 400, **body)
    if not json.dumps(body).count("NaN"):
        assert [error["pointer"] for error in refused["errors"]] == [pointer]
    assert WorkflowExecution.objects.count() == 1


def test_a_rerun_takes_the_same_statements_for_any_number_of_nodes(engine: Any, workflow: Workflow) -> None:
    counts = []
    for nodes in (1, 3):
        run = run_with_nodes(workflow)
        run.node_executions.filter(pk__in=run.node_executions.order_by("execution_order")[nodes:]).delete()
        in_state(run.node_executions.order_by("execution_order")[0], "failed")
        run.fail("x")
        with CaptureQueriesContext(
            connection,
        ) as found:
            post(engine, f"executions/{run.pk}/rerun/", 201, from_node="fetch")
        counts.append(len(found))
    assert counts[0] == counts[1] < 25


def test_a_retry_beyond_max_retries_is_asked_for_with_a_reason(engine: Any, workflow: Workflow) -> None:
    workflow.nodes.update(retry_config={"max_retries": 0})
    run = run_with_nodes(workflow)
    in_state(run.node_executions.order_by("execution_order")[0], "failed")
    run.fail("fetch failed")
    assert "used 0 of 0 retries" in post(engine, f"executions/{run.pk}/retry/", 409)["detail"]
    refused = post(engine, f"executions/{run.pk}/retry/", 400, override_max_retries=True)
    assert refused["errors"][0]["pointer"] == "/reason"
    again = post(engine, f"executions/{run.pk}/retry/", 200, override_max_retries=True, reason="open again")
    assert again["status"] == "pending"
