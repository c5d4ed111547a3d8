"""Bulk actions over the API."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import limits
from executions.bulk import runner
from executions.models import BulkAction
from executions.tests.api.list_requests import first_row
from executions.tests.bulk.test_work import begin, runs, statuses
from executions.tests.factories import NodeExecutionFactory
from tokens.models import Scope
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db
ACTIONS = "/api/v1/executions/actions/"
Api = Callable[..., Any]


def post(client: Any, **body: object) -> Any:
    return client.post(ACTIONS, body, format="json")


class TestBegin:
    def test_is_answered_at_once_and_done_in_the_background(self, engine: Any, workflow: Workflow) -> None:
        chosen = runs(2, "failed", workflow=workflow)
        answer = post(
            engine, action="retry", filter={"workflow": str(workflow.pk), "status": ["failed"]}, reason="again"
        )
        assert answer.status_code == 202
        assert answer.json() | {"id": 0} == {
            "id": 0, "number": 2, "matching": 2, "sample": [str(run.pk) for run in reversed(chosen)],
        }  # fmt: skip
        assert answer.headers["Location"].endswith(f"{ACTIONS}{answer.json()['id']}/")
        state = engine.get(answer.headers["Location"]).json()
        assert (state["state"], state["done"], state["number"]) == ("open", 0, 2)
        assert state["filter"] == {"workflow": [str(workflow.pk)], "status": ["failed"]}
        runner.work_open()
        state = engine.get(answer.headers["Location"]).json()
        assert (state["state"], state["done"], state["refused"]) == ("ended", 2, 0)
        assert statuses(chosen) == ["pending", "pending"]
        entry = chosen[0].history.get(act="retry")
        assert (entry.through, entry.username, entry.token_name, entry.reason) == ("api", "owner", "test", "again")

    @pytest.mark.parametrize("is_list", [True, False])
    def test_takes_several_workflows(self, engine: Any, workflow: Workflow, is_list: bool) -> None:
        other = WorkflowFactory(owner=workflow.owner)
        chosen = [*runs(1, workflow=workflow), *runs(1, workflow=other)]
        runs(1, workflow=WorkflowFactory(owner=workflow.owner))
        ids = [str(workflow.pk), str(other.pk)]
        answer = post(engine, action="cancel", filter={"workflow": ids if is_list else ",".join(ids)})
        assert answer.json()["sample"] == [str(run.pk) for run in reversed(chosen)]
        runner.work_open()
        assert statuses(chosen) == ["cancelled", "cancelled"]

    def test_takes_the_text_of_an_error_of_a_node_as_the_admin_does(self, engine: Any, workflow: Workflow) -> None:
        run, _other = runs(2, "failed", workflow=workflow)
        NodeExecutionFactory(
            workflow_execution=run, status="failed", error_message="no header", started_at=run.started_at,
            ended_at=run.ended_at,
        )  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            answer = post(engine, action="retry", dry_run=True, filter={"status": "failed", "error": "header"})
        assert len([each for each in queries if "UNION ALL" in each["sql"]]) == 3  # by the indexes on the texts
        assert (answer.json()["number"], answer.json()["sample"]) == (1, [str(run.pk)])

    def test_too_many_values_of_a_filter_are_refused_with_their_number(self, engine: Any, workflow: Workflow) -> None:
        answer = post(engine, action="cancel", filter={"workflow": [str(workflow.pk)] * 101}, dry_run=True)
        assert answer.status_code == 400
        assert "Expected at most 100 values; found 101." in answer.content.decode()

    def test_a_dry_run_counts_and_changes_nothing(self, engine: Any, workflow: Workflow) -> None:
        runs(2, workflow=workflow)
        runs(1, "completed", workflow=workflow)
        answer = post(engine, action="cancel", filter={"workflow": str(workflow.pk)}, dry_run=True)
        assert answer.status_code == 200
        assert (answer.json()["id"], answer.json()["number"], answer.json()["matching"]) == (None, 2, 3)
        assert not BulkAction.objects.exists()

    def test_a_repeated_call_under_its_key_begins_one_action(self, engine: Any, workflow: Workflow) -> None:
        runs(1, workflow=workflow)
        body = {"action": "cancel", "filter": {"status": "pending"}}
        headers = {"Idempotency-Key": "once"}
        answers = [engine.post(ACTIONS, body, format="json", headers=headers) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert answers[0].headers["Location"] == answers[1].headers["Location"]
        assert BulkAction.objects.count() == 1

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"action": "explode", "filter": {"status": "pending"}}, "/action"),
            ({"action": "cancel"}, "/filter"),
            ({"action": "cancel", "filter": {}}, "/filter"),
            ({"action": "cancel", "filter": {"colour": "red"}}, "/filter/colour"),
            ({"action": "cancel", "filter": {"status": "none"}}, "/filter/status"),
            ({"action": "cancel", "filter": {"status": [["pending"]]}}, "/filter/status"),
            ({"action": "cancel", "filter": {"status": ""}}, "/filter/status"),
            ({"action": "cancel", "filter": {"tag": ["a", "b"]}}, "/filter/tag"),
            ({"action": "cancel", "filter": {"workflow": ["x", "y"]}}, "/filter/workflow"),
            ({"action": "cancel", "filter": {"created_after": "yesterday"}}, "/filter/created_after"),
            ({"action": "cancel", "filter": {"status": "completed"}}, "/filter"),
            ({"action": "delete", "filter": {"status": "completed"}}, "/reason"),
        ],
    )
    def test_what_is_wrong_is_named(self, engine: Any, workflow: Workflow, body: dict[str, Any], pointer: str) -> None:
        runs(1, workflow=workflow)
        answer = engine.post(ACTIONS, body, format="json")
        assert answer.status_code == 400
        assert [error["pointer"].removesuffix("/0") for error in answer.json()["errors"]] == [pointer]
        assert not BulkAction.objects.exists()

    def test_too_many_runs_are_refused(self, engine: Any, workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "BULK_RUNS", 1)
        runs(2, workflow=workflow)
        answer = post(engine, action="cancel", filter={"status": "pending"})
        assert answer.status_code == 400
        assert "narrow the filter" in answer.json()["errors"][0]["detail"]


class TestRights:
    def test_others_runs_are_not_chosen(self, api: Api, owner: Any, teammate: Any, workflow: Workflow) -> None:
        runs(1, workflow=workflow)
        (stranger_s,) = runs(1)
        body = {"action": "cancel", "filter": {"status": "pending"}}
        answer = api(owner).post(ACTIONS, body, format="json")
        assert answer.json()["matching"] == 1
        assert api(teammate).post(ACTIONS, body, format="json").status_code == 400
        assert statuses([stranger_s]) == ["pending"]

    def test_a_token_bound_to_workflows_changes_those_and_sees_its_own_actions(
        self, api: Api, staff: Any, workflow: Workflow
    ) -> None:
        runs(1)
        (here,) = runs(1, workflow=workflow)
        begin(staff, "keep")
        bound = api(staff, bound_to=[workflow.pk])
        answer = post(bound, action="cancel", filter={"status": "pending"})
        assert answer.json()["sample"] == [str(here.pk)]
        assert [row["id"] for row in bound.get(ACTIONS).json()["results"]] == [answer.json()["id"]]

    def test_an_action_of_another_is_not_found(self, api: Api, owner: Any, stranger: Any, workflow: Workflow) -> None:
        runs(1, workflow=workflow)
        address = post(api(owner), action="cancel", filter={"status": "pending"}).headers["Location"]
        other = api(stranger)
        assert other.get(ACTIONS).json()["results"] == []
        assert [other.get(address).status_code, other.get(f"{address}runs/").status_code] == [404, 404]
        assert other.post(f"{address}stop/").status_code == 404
        reader = api(owner, scopes=[Scope.EXECUTIONS_READ])
        assert reader.get(address).status_code == 200
        assert reader.post(f"{address}stop/").status_code == 403


class TestTheAction:
    def test_lists_what_became_of_each_run(self, engine: Any, workflow: Workflow) -> None:
        ended, still = runs(2, workflow=workflow)
        address = post(engine, action="cancel", filter={"status": "pending"}).headers["Location"]
        ended.cancel()
        runner.work_open()
        rows = engine.get(f"{address}runs/").json()["results"]
        assert [(row["workflow_execution"], row["state"], row["answer"]) for row in rows] == [
            (str(ended.pk), "refused", "Cannot cancel execution in cancelled state"), (str(still.pk), "done", ""),
        ]  # fmt: skip
        refused = engine.get(f"{address}runs/?state=refused").json()["results"]
        assert [row["workflow_execution"] for row in refused] == [str(ended.pk)]

    def test_is_stopped(self, engine: Any, workflow: Workflow) -> None:
        chosen = runs(1, workflow=workflow)
        address = post(engine, action="cancel", filter={"status": "pending"}).headers["Location"]
        answer = engine.post(f"{address}stop/")
        assert (answer.status_code, answer.json()["state"], answer.json()["stopped_by"]) == (200, "stopped", "owner")
        runner.work_open()
        assert statuses(chosen) == ["pending"]


@pytest.mark.parametrize("path", ["", "{id}/", "{id}/runs/"])
def test_each_field_is_answered_alone(engine: Any, workflow: Workflow, path: str) -> None:
    runs(1, workflow=workflow)
    url = ACTIONS + path.format(id=post(engine, action="cancel", filter={"status": "pending"}).json()["id"])
    for name in first_row(engine, url):
        assert list(first_row(engine, f"{url}?fields={name}")) == [name]
