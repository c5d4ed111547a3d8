"""Each refusal has a row in one table, and an unexpected error shows no details."""

import inspect
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import OperationalError
from django.test import Client

from executions import exceptions
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from ledgerkit.rest import problems
from pastetrader.log_format import RedactingFormatter
from workflows.models import Workflow

REFUSALS = [kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if kind.__name__ in exceptions.__all__]


@pytest.mark.parametrize("kind", REFUSALS)
def test_every_refusal_of_the_ledger_has_its_own_code(kind: Any) -> None:
    rule = problems.rule_for(kind)
    assert rule is not None
    assert rule.error is kind


def test_the_project_chooses_the_prefix_of_the_type_of_errors(api: Any, owner: Any, settings: Any) -> None:
    settings.LEDGERKIT = settings.LEDGERKIT | {"PROBLEM_TYPE_PREFIX": "https://example.org/problems/"}
    answer = api(owner).get("/api/v1/nowhere/").json()
    assert (answer["type"], answer["code"]) == ("https://example.org/problems/not_found", "not_found")


@pytest.mark.parametrize(("error", "status"), [(ObjectDoesNotExist(), 404), (OperationalError("timeout"), 503)])
def test_what_happens_between_reading_and_moving_is_no_500(
    api: Any, owner: Any, workflow: Workflow, monkeypatch: Any, error: Exception, status: int
) -> None:
    def fail(self: WorkflowExecution) -> None:
        raise error

    run = WorkflowExecutionFactory(workflow=workflow)
    monkeypatch.setattr(WorkflowExecution, "start", fail)
    answer = api(owner).post(f"/api/v1/executions/{run.pk}/start/", {}, format="json")
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")


@pytest.mark.parametrize(("path", "kind"), [("/api/v1/", "application/problem+json"), ("/admin/", "text/html")])
def test_a_fault_of_ours_is_a_500_that_shows_nothing(db: None, monkeypatch: Any, path: str, kind: str) -> None:
    def break_down(*_: Any) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr("rest_framework.views.APIView.initial", break_down)
    monkeypatch.setattr("django.contrib.admin.sites.AdminSite.has_permission", break_down)
    answer = Client(raise_request_exception=False).get(path)
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (500, kind)
    assert b"a secret of ours" not in answer.content


@pytest.mark.parametrize("away", [False, True])
def test_the_log_of_a_fault_does_not_repeat_what_was_sent(
    api: Any, owner: Any, workflow: Workflow, monkeypatch: Any, caplog: Any, away: bool
) -> None:
    """Also of a node execution, whose run has the secret, and while the database is away."""

    def gone(run: Any) -> None:
        raise OperationalError("the connection is closed")

    def fail(self: NodeExecution, **said: Any) -> None:
        if away:
            monkeypatch.setattr("executions.secrets.run_secrets.scrubber", gone)
        raise RuntimeError(f"broke down over {said} and of-the-body")

    run = WorkflowExecutionFactory(workflow=workflow, context={"secrets": {"a": "of-the-run"}})
    node = NodeExecutionFactory(workflow_execution=run)
    monkeypatch.setattr(NodeExecution, "complete", fail)
    client = api(owner)
    client.raise_request_exception = False
    said = {"output_data": {"text": "x of-the-run x", "password": "of-the-body"}}
    answer = client.post(f"/api/v1/node-executions/{node.pk}/complete/", said, format="json")
    logged = RedactingFormatter().format(next(record for record in caplog.records if record.exc_info))
    assert (answer.status_code, "broke down over" in logged, "of-the-body" in logged) == (500, True, False)
    assert ("of-the-run" in logged) is away


@pytest.mark.parametrize(
    ("kind", "body", "faults"),
    [
        ("workflows", {"name": 5, "is_active": 1, "version": "1"}, {"/name", "/is_active", "/version"}),
        ("workflows", {"nodes": [{"name": True, "node_type": "x", "position_x": "1.5", "timeout_seconds": "60"}]},
         {"/name", "/nodes/0/name", "/nodes/0/node_type", "/nodes/0/position_x", "/nodes/0/timeout_seconds"}),
        ("executions", {"start": 1, "trigger_type": "manual"}, {"/start", "/workflow"}),
    ],
)  # fmt: skip
def test_a_value_of_another_json_type_is_refused_with_everything_else_that_is_wrong(
    api: Any, owner: Any, kind: str, body: Any, faults: set[str]
) -> None:
    answer = api(owner).post(f"/api/v1/{kind}/", body, format="json")
    assert answer.status_code == 400
    assert {fault["pointer"] for fault in answer.json()["errors"]} == faults


def test_a_line_and_an_error_are_texts(api: Any, owner: Any, workflow: Workflow) -> None:
    run, client = WorkflowExecutionFactory(workflow=workflow), api(owner)
    for act, body in (("logs", {"level": "info", "message": 5}), ("fail", {"error_message": 5})):
        answer = client.post(f"/api/v1/executions/{run.pk}/{act}/", body, format="json")
        assert (answer.status_code, answer.json()["errors"][0]["detail"]) == (400, "Expected a string.")


@pytest.mark.parametrize("value", [5, 5.0, True, {}, []])
def test_a_uuid_is_a_string(api: Any, owner: Any, workflow: Workflow, value: Any) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    new_run = {"workflow": str(workflow.pk), "trigger_type": "manual"}
    line = {"level": "info", "message": "a line"}
    for url, body, names in (
        ("executions/", new_run, ("id", "workflow")),
        (f"executions/{run.pk}/nodes/", {"node": "rank"}, ("id",)),
        (f"executions/{run.pk}/logs/", line, ("id", "node_execution")),
        ("workflows/", {"name": "new"}, ("id",)),
    ):
        for name in names:
            answer = api(owner).post(f"/api/v1/{url}", body | {name: value}, format="json")
            assert answer.status_code == 400
            assert answer.json()["errors"] == [
                {"pointer": f"/{name}", "code": "invalid", "detail": "Expected a UUID."}
            ]  # fmt: skip
