"""Idempotency and preconditions: a repeated request has one effect, a stale caller changes nothing."""

import json
import threading
from typing import Any

import pytest
from django.db import connection

from executions.models import WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7
from ledgerkit.models import IdempotencyKey
from workflows.models import Workflow

RUNS = "/api/v1/executions/"


def post(client: Any, url: str, body: Any, key: str | None = None, **headers: str) -> Any:
    return client.post(url, body, format="json", headers={"Idempotency-Key": key} | headers if key else headers)


@pytest.fixture
def body(workflow: Workflow) -> dict[str, Any]:
    return {"workflow": str(workflow.pk), "trigger_type": "manual"}


class TestIdempotencyKey:
    def test_the_same_request_gets_the_first_answer_again_and_does_its_work_once(
        self, api: Any, owner: Any, body: Any
    ) -> None:
        client = api(owner)
        first, second = (post(client, RUNS, body, "key 1") for _ in range(2))
        assert (first.status_code, "Idempotent-Replayed" in first) == (201, False)
        assert (second.status_code, second["Idempotent-Replayed"]) == (201, "true")
        assert (second.content, second["Content-Type"], second["ETag"]) == (
            first.content, first["Content-Type"], first["ETag"],
        )  # fmt: skip
        assert WorkflowExecution.objects.count() == 1

    def test_a_transition_is_said_once(self, api: Any, owner: Any, workflow: Workflow) -> None:
        run, client = WorkflowExecutionFactory(workflow=workflow), api(owner)
        answers = [post(client, f"{RUNS}{run.pk}/start/", {}, "start") for _ in range(3)]
        assert [answer.json()["version"] for answer in answers] == [2, 2, 2]

    def test_a_refusal_is_repeated_too(self, api: Any, owner: Any, workflow: Workflow) -> None:
        run, client = in_state(WorkflowExecutionFactory(workflow=workflow), "cancelled"), api(owner)
        first, second = (post(client, f"{RUNS}{run.pk}/start/", {}, "start") for _ in range(2))
        assert (first.status_code, second.status_code) == (409, 409)
        assert second["Content-Type"] == "application/problem+json"
        assert second.content == first.content

    def test_another_body_or_address_under_the_same_key_is_422(self, api: Any, owner: Any, body: Any) -> None:
        client = api(owner)
        post(client, RUNS, body, "key")
        for url, other in ((RUNS, body | {"trigger_type": "event"}), ("/api/v1/workflows/", body)):
            answer = post(client, url, other, "key")
            assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        assert WorkflowExecution.objects.count() == 1

    def test_a_refused_version_may_be_put_right_under_the_same_key(
        self, api: Any, owner: Any, workflow: Workflow
    ) -> None:
        run, client = WorkflowExecutionFactory(workflow=workflow), api(owner)
        url, found = f"{RUNS}{run.pk}/start/", []
        for match in ('"77"', '"77"', '"1"', '"1"', '"77"'):
            answer = post(client, url, {}, "key", **{"If-Match": match})
            found.append((answer.status_code, "Idempotent-Replayed" in answer))
        assert found == [(412, False), (412, False), (200, False), (200, True), (200, True)]

    def test_the_content_type_may_be_written_in_another_way(self, api: Any, owner: Any, body: Any) -> None:
        client, found = api(owner), []
        for kind in ("application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"):
            answer = client.post(RUNS, json.dumps(body), content_type=kind, headers={"Idempotency-Key": "key"})
            found.append((answer.status_code, "Idempotent-Replayed" in answer))
        assert found == [(201, False), (201, True), (201, True)]
        kind = "application/json; charset=latin-1"
        answer = client.post(RUNS, json.dumps(body), content_type=kind, headers={"Idempotency-Key": "key"})
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")

    def test_a_key_belongs_to_its_token(self, api: Any, owner: Any, body: Any) -> None:
        for _ in range(2):
            assert "Idempotent-Replayed" not in post(api(owner), RUNS, body, "key")
        assert WorkflowExecution.objects.count() == 2

    @pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "a\tb"])
    def test_a_key_that_is_none_is_400(self, api: Any, owner: Any, body: Any, key: str) -> None:
        answer = api(owner).post(RUNS, body, format="json", HTTP_IDEMPOTENCY_KEY=key)
        assert (answer.status_code, "Idempotency-Key" in answer.json()["detail"]) == (400, True)

    def test_a_key_is_kept_for_24_hours(self, api: Any, owner: Any, body: Any) -> None:
        client = api(owner)
        post(client, RUNS, body, "key")
        IdempotencyKey.objects.update(created_at="2020-01-01T00:00Z")
        assert "Idempotent-Replayed" not in post(client, RUNS, body, "key")
        assert (IdempotencyKey.objects.count(), WorkflowExecution.objects.count()) == (1, 2)

    def test_what_broke_is_not_kept_and_neither_is_its_work(
        self, api: Any, owner: Any, body: Any, monkeypatch: Any
    ) -> None:
        client = api(owner)
        client.raise_request_exception = False
        with monkeypatch.context() as broken:
            broken.setattr("ledgerkit.models.IdempotencyKey.save", lambda *_, **__: 1 / 0)
            assert post(client, RUNS, body, "key").status_code == 500
        assert not WorkflowExecution.objects.exists()
        assert post(client, RUNS, body, "key").status_code == 201


@pytest.mark.django_db(transaction=True)
def test_a_second_request_while_the_first_is_running_is_409(
    api: Any, owner: Any, workflow: Workflow, monkeypatch: Any
) -> None:
    run, client = WorkflowExecutionFactory(workflow=workflow), api(owner, used=False)
    inside, go_on, answers = threading.Event(), threading.Event(), []
    start = WorkflowExecution.start

    def slowly(self: WorkflowExecution) -> None:
        inside.set()
        go_on.wait(10)
        start(self)

    def first() -> None:
        answers.append(post(client, f"{RUNS}{run.pk}/start/", {}, "key").status_code)
        connection.close()

    monkeypatch.setattr(WorkflowExecution, "start", slowly)
    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(10)
    answer = post(client, f"{RUNS}{run.pk}/start/", {}, "key")
    go_on.set()
    thread.join()
    assert (answer.status_code, answer.json()["code"], answers) == (409, "idempotency_key_in_use", [200])
    assert post(client, f"{RUNS}{run.pk}/start/", {}, "key").json()["status"] == "running"


class TestVersions:
    def test_a_single_row_has_an_etag_and_a_reader_who_knows_it_gets_304(
        self, api: Any, owner: Any, workflow: Workflow
    ) -> None:
        run, client = WorkflowExecutionFactory(workflow=workflow), api(owner)
        node = NodeExecutionFactory(workflow_execution=run)
        for url in (f"{RUNS}{run.pk}/", f"/api/v1/node-executions/{node.pk}/", f"/api/v1/workflows/{workflow.pk}/"):
            answer = client.get(url)
            assert answer["ETag"] == '"1"'
            again = client.get(url, headers={"If-None-Match": answer["ETag"]})
            assert (again.status_code, again.content, again["ETag"]) == (304, b"", '"1"')
            assert client.get(url, headers={"If-None-Match": '"7"'}).status_code == 200

    def test_a_node_that_is_changed_is_shown_anew_by_the_name_of_the_run(self, api: Any, owner: Any) -> None:
        row = NodeExecutionFactory(workflow_execution__workflow__owner=owner)
        client, url = api(owner), f"/api/v1/node-executions/{row.pk}/"
        known = {"If-None-Match": client.get(url)["ETag"]}
        assert client.get(url, headers=known).status_code == 304
        name, row.node.name, row.node.retry_config = row.node.name, "renamed", {"max_retries": 7}
        row.node.save()
        answer = client.get(url, headers=known)
        assert (answer.status_code, answer.json()["node_name"]) == (200, name)

    def test_what_shows_more_or_less_than_the_row_has_none(self, api: Any, owner: Any, workflow: Workflow) -> None:
        run, client = WorkflowExecutionFactory(workflow=workflow), api(owner)
        for query in ("expand=logs", "fields=id,version"):
            answer = client.get(f"{RUNS}{run.pk}/?{query}", headers={"If-None-Match": '"1"'})
            assert (answer.status_code, "ETag" in answer) == (200, False)

    def test_an_answer_to_a_transition_has_the_new_one(self, api: Any, owner: Any, workflow: Workflow) -> None:
        run = WorkflowExecutionFactory(workflow=workflow)
        assert post(api(owner), f"{RUNS}{run.pk}/start/", {})["ETag"] == '"2"'

    @pytest.mark.parametrize(("match", "status"), [('"1"', 200), ("*", 200), ('"9", "1"', 200), ('"2"', 412)])
    def test_a_transition_that_names_a_version_is_412_when_stale(
        self, api: Any, owner: Any, workflow: Workflow, match: str, status: int
    ) -> None:
        run = WorkflowExecutionFactory(workflow=workflow)
        answer = post(api(owner), f"{RUNS}{run.pk}/start/", {}, **{"If-Match": match})
        run.refresh_from_db()
        assert (answer.status_code, str(run.status)) == (status, "running" if status == 200 else "pending")

    def test_a_write_of_a_workflow_and_a_deletion_too(self, api: Any, owner: Any, workflow: Workflow) -> None:
        run, client = WorkflowExecutionFactory(workflow=workflow), api(owner)
        stale = {"If-Match": '"7"'}
        body = {"reason": "noise"}
        assert client.delete(f"{RUNS}{run.pk}/", body, format="json", headers=stale).status_code == 412
        url = f"/api/v1/workflows/{workflow.pk}/"
        assert client.patch(url, {"name": "new"}, format="json", headers=stale).status_code == 412
        assert client.patch(url, {"name": "new"}, format="json", headers={"If-Match": '"1"'}).status_code == 200

    @pytest.mark.parametrize(("match", "status"), [('"2"', 201), ("*", 201), ('"1"', 412), ('"99"', 412)])
    def test_what_is_added_to_a_run_names_the_version_of_the_run(
        self, api: Any, owner: Any, workflow: Workflow, match: str, status: int
    ) -> None:
        run, client = in_state(WorkflowExecutionFactory(workflow=workflow), "running"), api(owner)
        line = {"level": "info", "message": "a line"}
        for kind, body in (("nodes", {"node": "rank"}), ("logs", line), ("logs", [line])):
            answer = post(client, f"{RUNS}{run.pk}/{kind}/", body, **{"If-Match": match})
            assert answer.status_code == status
        assert (run.node_executions.count(), run.logs.count()) == ((1, 2) if status == 201 else (0, 0))

    @pytest.mark.parametrize("match", ['"1"', "*"])
    def test_a_new_row_that_is_to_be_there_already_is_412(self, api: Any, owner: Any, body: Any, match: str) -> None:
        client = api(owner)
        for url, content in ((RUNS, body), ("/api/v1/workflows/", {"name": "new"})):
            answer = post(client, url, content, **{"If-Match": match})
            assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
        assert (WorkflowExecution.objects.count(), Workflow.objects.count()) == (0, 1)

    def test_every_answer_of_one_row_has_an_etag(self, api: Any, owner: Any, body: Any, workflow: Workflow) -> None:
        run, client = in_state(WorkflowExecutionFactory(workflow=workflow), "running"), api(owner)
        content = {"id": str(uuid7()), "node": "rank"}
        for status in (201, 200):
            answer = post(client, f"{RUNS}{run.pk}/nodes/", content)
            assert (answer.status_code, "ETag" in answer) == (status, True)
        line = {"id": str(uuid7()), "level": "info", "message": "a line"}
        first, again = (post(client, f"{RUNS}{run.pk}/logs/", line) for _ in range(2))
        assert first["ETag"] == again["ETag"]
        kept, repeated = (post(client, f"{RUNS}{run.pk}/logs/", line, "key") for _ in range(2))
        assert kept["ETag"] == repeated["ETag"] == first["ETag"]
        assert "ETag" not in post(client, f"{RUNS}{run.pk}/logs/", [line])
        assert "ETag" not in client.get(f"{RUNS}{run.pk}/logs/")

    def test_an_attempt_never_changes_and_has_an_etag_for_each_choice_of_fields(
        self, api: Any, owner: Any, workflow: Workflow
    ) -> None:
        run, client = in_state(WorkflowExecutionFactory(workflow=workflow), "running"), api(owner)
        node = in_state(NodeExecutionFactory(workflow_execution=run), "failed")
        run.fail("broke")
        run.retry()
        for url in (f"{RUNS}{run.pk}/", f"/api/v1/node-executions/{node.pk}/"):
            whole, some = (client.get(f"{url}attempts/1/{query}") for query in ("", "?fields=id"))
            assert whole["ETag"] != some["ETag"]
            again = client.get(f"{url}attempts/1/", headers={"If-None-Match": whole["ETag"]})
            assert (again.status_code, again.content) == (304, b"")


class TestTokens:
    def test_a_bound_token_sees_and_makes_only_what_is_of_its_workflows(
        self, api: Any, owner: Any, workflow: Workflow
    ) -> None:
        other = WorkflowExecutionFactory(workflow__owner=owner)
        run = WorkflowExecutionFactory(workflow=workflow)
        node = NodeExecutionFactory(workflow_execution=other)
        client = api(owner, bound_to=[workflow.pk])
        assert [row["id"] for row in client.get(RUNS).json()["results"]] == [str(run.pk)]
        assert [row["id"] for row in client.get("/api/v1/workflows/").json()["results"]] == [str(workflow.pk)]
        for url in (f"{RUNS}{other.pk}/", f"{RUNS}{other.pk}/logs/", f"/api/v1/node-executions/{node.pk}/"):
            assert client.get(url).status_code == 404
        body = {"workflow": str(other.workflow_id), "trigger_type": "manual"}
        assert post(client, RUNS, body).json()["errors"][0]["code"] == "does_not_exist"
        assert post(client, "/api/v1/workflows/", {"name": "new"}).status_code == 403

    def test_the_last_use_is_noted_at_most_once_a_minute(
        self, api: Any, owner: Any, django_assert_num_queries: Any
    ) -> None:
        client = api(owner, used=False)
        client.get(RUNS)
        assert owner.api_tokens.get().last_used_at is not None
        with django_assert_num_queries(2):
            client.get(RUNS)
