"""Heavy requests: no connection is held while Python works on them. That others are answered shows
pastetrader/tests/test_heavy_requests.py."""

import json
from typing import Any

import pytest
from django.db import connection

from executions.models import ExecutionLog, WorkflowExecution
from executions.secrets import encryption, masked_request_body
from executions.secrets.scrubber import MASK, Scrubber
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.tests.threads import in_thread
from workflows.fields import DefinitionField
from workflows.models import Workflow
from workflows.secret_keys import mask_document

RUNS = "/api/v1/executions/"
SECRET = "swordfish-99"
WORST = "\\%25&amp;\n" * 5_600  # a body of LARGE or more
WHOLE_LINE = {"level": "info", "message": f"{WORST} {SECRET}", "data": {"token": "brought-by-this-line"}}


@pytest.fixture
def client(api: Any, owner: Any) -> Any:
    return api(owner)


@pytest.fixture
def run(workflow: Any) -> WorkflowExecution:
    return in_state(WorkflowExecutionFactory(workflow=workflow, context={"secrets": {"a": SECRET}}), "running")


@pytest.fixture
def held(monkeypatch: Any) -> list[bool]:
    """Return a list that gets, at each search in a large text, whether a connection is held."""
    found: list[bool] = []
    may_hold = Scrubber._may_hold

    def watch(self: Scrubber, text: str) -> bool:
        if len(text) > 50_000:
            found.append(connection.connection is not None)
        return may_hold(self, text)

    monkeypatch.setattr(Scrubber, "_may_hold", watch)
    return found


def post(client: Any, url: str, body: Any, **headers: str) -> Any:
    return client.post(f"{RUNS}{url}", body, format="json", headers=headers)


@pytest.mark.django_db(transaction=True)
class TestConnections:
    @pytest.mark.slow
    @pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}, {"If-Match": "*"}])
    def test_none_is_held_while_a_large_body_is_masked(
        self, client: Any, run: WorkflowExecution, held: list[bool], headers: dict[str, str]
    ) -> None:
        node = in_state(NodeExecutionFactory(workflow_execution=run), "running")
        assert post(client, f"{run.pk}/logs/", [WHOLE_LINE], **headers).status_code == 201
        error = {"error_message": SECRET, "error_traceback": f"{WORST} {SECRET}"}
        url = f"/api/v1/node-executions/{node.pk}/fail/"
        if "Idempotency-Key" in headers:
            headers = {"Idempotency-Key": "other"}
        assert client.post(url, error, format="json", headers=headers).status_code == 200
        assert held
        assert not any(held)
        (line,) = ExecutionLog.objects.all()
        node.refresh_from_db()
        assert (line.data, node.error_message) == ({"token": MASK}, MASK)
        assert SECRET not in line.message + str(node.error_traceback)

    @pytest.mark.parametrize("lines", [1, 50])
    def test_none_is_held_while_lines_without_a_secret_are_searched(
        self, client: Any, workflow: Any, held: list[bool], lines: int
    ) -> None:
        run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
        body = [{"level": "info", "message": "x", "data": {"text": WORST}}] * lines
        assert post(client, f"{run.pk}/logs/", body).status_code == 201
        assert held == [False] * lines, "and once"

    def test_none_is_held_while_a_large_run_is_masked(self, client: Any, workflow: Any, held: list[bool]) -> None:
        body = {"workflow": str(workflow.pk), "trigger_type": "manual", "context": {"secrets": {"a": SECRET}}}
        answer = client.post(RUNS, body | {"input_data": {"a": f"{WORST} {SECRET}"}}, format="json")
        assert answer.status_code == 201
        assert held
        assert not any(held)
        assert SECRET not in json.dumps(WorkflowExecution.objects.get().input_data)
        assert encryption.decrypt(str(WorkflowExecution.objects.get().encrypted_secrets)) == {SECRET}

    def test_none_is_held_while_a_large_definition_is_masked(self, client: Any, monkeypatch: Any) -> None:
        held: list[bool] = []

        def watch(document: Any, *more: Any) -> Any:
            if len(str(document)) > 50_000:
                held.append(connection.connection is not None)
            return mask_document(document, *more)

        monkeypatch.setattr(DefinitionField, "mask", staticmethod(watch))
        body = {"name": "large", "nodes": [{"name": "a", "node_type": "tool", "config": {"a": WORST, "token": SECRET}}]}
        assert client.post("/api/v1/workflows/", body, format="json").status_code == 201
        body["nodes"][0]["config"]["a"] += "more"
        assert client.post("/api/v1/workflows/ensure/", body, format="json").status_code == 200
        found = Workflow.objects.get()
        body["nodes"][0]["config"]["a"] += "more"
        assert client.put(f"/api/v1/workflows/{found.pk}/", body, format="json").status_code == 200
        assert held
        assert not any(held)
        assert found.nodes.get().config == body["nodes"][0]["config"] | {"token": MASK}

    @pytest.mark.slow
    def test_what_came_after_a_large_body_was_masked_is_masked_too(
        self, client: Any, run: WorkflowExecution, monkeypatch: Any
    ) -> None:
        remember = masked_request_body.remember

        def overtaken(*given: Any) -> None:
            remember(*given)
            in_thread(
                lambda: ExecutionLog.objects.create(
                    workflow_execution_id=run.pk, level="info", message="x", data={"token": "came-since-then"}
                )
            )

        monkeypatch.setattr(masked_request_body, "remember", overtaken)
        assert post(client, f"{run.pk}/fail/", {"error_message": f"came-since-then {WORST}"}).status_code == 200
        run.refresh_from_db()
        assert str(run.error_message).startswith(MASK)

    @pytest.mark.slow
    def test_what_a_large_body_brings_is_known_from_then_on_and_compared(self, client: Any, run: Any) -> None:
        line = WHOLE_LINE | {"id": str(run.pk)}
        assert post(client, f"{run.pk}/logs/", line).status_code == 201
        assert post(client, f"{run.pk}/logs/", line).status_code == 200
        other = line | {"data": {"token": "another-token-than-before"}}
        assert post(client, f"{run.pk}/logs/", other).status_code == 409
        late = post(client, f"{run.pk}/logs/", {"level": "info", "message": "brought-by-this-line"})
        assert late.json()["message"] == MASK
