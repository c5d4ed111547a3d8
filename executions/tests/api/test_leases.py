"""Leases over the API: a start returns a token, and the reports of a replaced worker are refused."""

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from executions.models import NodeExecution, WorkflowExecution
from executions.tests.api.calls import API, post
from executions.tests.factories import run_with_nodes
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["executions", "node-executions"])
def address(request: Any, workflow: Workflow) -> str:
    """Return the path of a pending run, or of a pending node of a running one."""
    if request.param == "executions":
        run = WorkflowExecution.objects.create(workflow=workflow, trigger_type="manual")
        return f"executions/{run.pk}/"
    node = run_with_nodes(workflow).node_executions.first()
    assert node is not None
    return f"node-executions/{node.pk}/"


def test_a_start_under_a_lease_returns_the_token_of_the_attempt(engine: Any, address: str) -> None:
    started = post(engine, f"{address}start/", worker="worker-3", lease_seconds=60)
    assert (started["status"], started["error_code"]) == ("running", "")
    beat = post(engine, f"{address}heartbeat/", token=started["token"], lease_seconds=90)
    assert (beat["attempt"], beat["worker"]) == (1, "worker-3")
    assert beat["expires_at"] > timezone.now().isoformat()
    assert post(engine, f"{address}complete/", token=started["token"])["status"] == "completed"


def test_a_start_without_a_lease_returns_no_token(engine: Any, address: str) -> None:
    assert post(engine, f"{address}start/")["token"] is None


def test_the_token_is_in_no_other_answer(engine: Any, address: str) -> None:
    token = post(engine, f"{address}start/", lease_seconds=60)["token"]
    assert token not in engine.get(f"{API}{address}").content.decode()


def test_a_worker_that_was_replaced_is_fenced(engine: Any, address: str) -> None:
    old = post(engine, f"{address}start/", lease_seconds=60)["token"]
    post(engine, f"{address}fail/", error_message="broke", token=old)
    post(engine, f"{address}retry/")
    new = post(engine, f"{address}start/", lease_seconds=60)["token"]
    for call, body in (("complete", {"output_data": 1}), ("fail", {"error_message": "x"}), ("heartbeat", {})):
        refused = post(engine, f"{address}{call}/", 409, token=old, **body)
        assert (refused["code"], refused["current_state"]) == ("fenced", "running")
        assert "another worker has it, so stop" in refused["detail"]
    assert post(engine, f"{address}complete/", token=new)["status"] == "completed"


def test_a_token_of_nothing_is_fenced(engine: Any, address: str) -> None:
    post(engine, f"{address}start/", lease_seconds=60)
    assert post(engine, f"{address}complete/", 409, token=uuid4())["code"] == "fenced"


@pytest.mark.parametrize(
    ("call", "body", "field"),
    [
        ("start", {"lease_seconds": 0}, "lease_seconds"),
        ("start", {"lease_seconds": "60"}, "lease_seconds"),
        ("start", {"lease_seconds": 86_401}, "lease_seconds"),
        ("start", {"worker": "w" * 201}, "worker"),
        ("start", {"worker": ""}, "worker"),
        ("start", {"token": str(uuid4())}, "token"),
        ("heartbeat", {}, "token"),
        ("heartbeat", {"token": "x"}, "token"),
        ("complete", {"token": 5}, "token"),
    ],
)
def test_a_body_that_no_lease_has_is_refused(engine: Any, address: str, call: str, body: Any, field: str) -> None:
    refused = post(engine, f"{address}{call}/", 400, **body)
    assert [error["pointer"] for error in refused["errors"]] == [f"/{field}"]


def test_a_heartbeat_changes_neither_version_nor_history(engine: Any, address: str) -> None:
    token = post(engine, f"{address}start/", lease_seconds=60)["token"]
    before = engine.get(f"{API}{address}")
    post(engine, f"{address}heartbeat/", token=token)
    after = engine.get(f"{API}{address}")
    assert (after.json(), after["ETag"]) == (before.json(), before["ETag"])


def test_a_stranger_extends_nothing(api: Any, stranger: Any, engine: Any, address: str) -> None:
    token = post(engine, f"{address}start/", lease_seconds=60)["token"]
    post(api(stranger), f"{address}heartbeat/", 404, token=token)


def test_lists_say_why_upkeep_failed_a_row(engine: Any, workflow: Workflow) -> None:
    run = run_with_nodes(workflow)
    node = run.node_executions.all()[0]
    node.start()
    NodeExecution.objects.get(pk=node.pk).fail_overdue("timed_out", "The time-out of 60 seconds was exceeded.")
    rows = engine.get(f"/api/v1/executions/{run.pk}/nodes/").json()["results"]
    assert [row["error_code"] for row in rows] == ["timed_out", "", ""]
