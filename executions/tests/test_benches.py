"""The views that `make bench-api` compares with do the work that they claim to do."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from benches import bare, lists
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.factories import WorkflowExecutionFactory
from tokens.models import Scope, Token
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("benches.bare")]


@pytest.fixture
def post(owner: Any) -> Callable[..., Any]:
    _row, secret = Token.objects.issue(user=owner, name="bench", scopes=list(Scope.values))
    client = Client(headers={"Authorization": f"Token {secret}"})
    return lambda address, body: client.post(address, body, "application/json")


def test_a_replay_makes_rows_with_ids_of_their_own(post: Callable[..., Any], workflow: Workflow) -> None:
    body = {"workflow": str(workflow.pk), "trigger_type": "event", "metadata": {"tags": ["bench"]}}
    with bare.record("create"):
        assert post("/api/v1/executions/", body).status_code == 201
    for side in ("replay", "replay", "plain"):
        assert post(f"/{side}/create/", body).status_code == 201
    assert [run.metadata for run in WorkflowExecution.objects.all()] == [{"tags": ["bench"]}] * 4


def test_a_replay_speaks_of_the_run_of_its_own_call(post: Callable[..., Any], workflow: Workflow) -> None:
    runs = [WorkflowExecutionFactory(workflow=workflow, metadata={"allow_concurrent": True}) for _ in range(3)]
    with bare.record("start", runs[0].pk):
        post(f"/api/v1/executions/{runs[0].pk}/start/", {})
    post(f"/replay/start/{runs[1].pk}/", {})
    assert [WorkflowExecution.objects.get(pk=run.pk).status for run in runs] == ["running", "running", "pending"]
    post(f"/plain/start/{runs[2].pk}/", {})
    assert WorkflowExecution.objects.running().count() == 3


def test_lines_are_written_by_every_side(post: Callable[..., Any], workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    node = run.add_node(workflow.nodes.first())
    body = [{"level": "info", "message": f"line {n}", "node_execution": str(node.pk)} for n in range(3)]
    assert post(f"/api/v1/executions/{run.pk}/logs/", body).status_code == 201
    with bare.record("plain lines", run.pk):
        assert post(f"/plain/lines/{run.pk}/", body).status_code == 201
    assert post(f"/replay/lines/{run.pk}/", body).status_code == 201
    assert ExecutionLog.objects.count() == 9


@pytest.mark.usefixtures("truncated")
def test_the_index_of_a_statement_is_named(workflow: Workflow) -> None:
    sql, params = NodeExecution.objects.filter(pk=workflow.pk).query.sql_with_params()
    assert lists.indexes(sql, params) == ["node_executions_pkey"]
