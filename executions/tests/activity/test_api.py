"""The activity over the API: the rows and the readers of the page, by user, token, interface, workflow and period."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from executions.audit import Through, act_as
from executions.models import Activity
from executions.tests.activity.test_activity import done_by, entry_at
from executions.tests.cast import permissions
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from tokens.models import Scope, Token
from workflows.models import Workflow

pytestmark = pytest.mark.django_db
ACTIVITY = "/api/v1/executions/activity/"


@pytest.fixture
def client(api: Callable[..., APIClient], staff: Any) -> APIClient:
    return api(staff)


def asked(client: APIClient, **query: object) -> list[dict[str, Any]]:
    answer = client.get(ACTIVITY, query)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def reasons(client: APIClient, **query: object) -> list[str]:
    return [row["reason"] for row in asked(client, **query)]


class TestRows:
    def test_a_row_says_who_what_of_what_and_why(self, client: APIClient, ann: Any) -> None:
        run = done_by(ann, reason="the feed is wrong")
        (row,) = asked(client, user="ann")
        assert {
            "kind": "execution", "act": "cancel", "workflow_execution": str(run.pk), "node_execution": None,
            "subject": None, "from_status": "pending", "to_status": "cancelled", "through": "admin", "username": "ann",
            "token": None, "reason": "the feed is wrong",
        }.items() <= row.items()  # fmt: skip

    def test_a_token_sees_no_changes_of_tokens(self, client: APIClient, staff: Any) -> None:
        Token.objects.issue(user=staff, name="engine", scopes=[Scope.EXECUTIONS_READ])
        assert "token" in Activity.objects.values_list("kind", flat=True)
        assert "token" not in {row["kind"] for row in asked(client)}
        session = APIClient()
        session.force_login(staff)
        assert "token" in {row["kind"] for row in asked(session)}

    def test_they_are_those_of_the_page_newest_first(self, client: APIClient, ann: Any) -> None:
        with act_as(through=Through.ADMIN, user=ann, reason="a rehearsal"):
            run = WorkflowExecutionFactory(workflow__name="prices")
            run.delete()
        kinds = [(row["kind"], row["subject_name"]) for row in asked(client, user="ann")]
        assert kinds == [("deletion", "prices"), ("workflow", "prices")]

    def test_pages_follow_one_another(self, client: APIClient, ann: Any) -> None:
        for number in range(5):
            done_by(ann, reason=str(number))
        found, url = [], f"{ACTIVITY}?user=ann&page_size=2"
        while url:
            page = client.get(url).json()
            found += [row["reason"] for row in page["results"]]
            url = page["next"]
        assert found == ["4", "3", "2", "1", "0"]
        assert reasons(client, user="ann", ordering="happened") == found[::-1]

    def test_each_field_is_answered_alone(self, client: APIClient, ann: Any) -> None:
        done_by(ann)
        for name in asked(client, user="ann")[0]:
            assert [list(row) for row in asked(client, user="ann", fields=name)] == [[name]]

    def test_the_statements_do_not_grow_with_the_rows(self, client: APIClient, ann: Any) -> None:
        counts = []
        for number in (1, 9):
            for _ in range(number):
                done_by(ann)
            with CaptureQueriesContext(connection) as queries:
                asked(client, user="ann")
            counts.append(len(queries))
        assert counts[0] == counts[1]


class TestFilters:
    def test_a_user_is_what_was_done_without_a_token(self, client: APIClient, staff: Any) -> None:
        with_token, run = WorkflowExecutionFactory(), done_by(staff)
        client.post(f"/api/v1/executions/{with_token.pk}/cancel/", {}, format="json")
        token = Token.objects.get()
        cancelled = {
            name: {row["workflow_execution"] for row in asked(client, **query) if row["act"] == "cancel"}
            for name, query in {"user": {"user": staff.username}, "token": {"token": token.pk}}.items()
        }
        assert cancelled == {"user": {str(run.pk)}, "token": {str(with_token.pk)}}

    def test_through_kind_run_and_workflow(self, client: APIClient, ann: Any, workflow: Workflow) -> None:
        here, there = WorkflowExecutionFactory(workflow=workflow), done_by(ann, reason="there")
        with act_as(through=Through.COMMAND, name="root", reason="here"):
            here.cancel()
        for query in ({"through": "command"}, {"workflow_execution": here.pk}, {"workflow": workflow.pk}):
            found = reasons(client, **query)
            assert ("here" in found, "there" in found) == (True, False), query
        kinds = {row["kind"] for row in asked(client, kind="workflow,deletion")}
        assert kinds == {"workflow"}
        assert reasons(client, workflow_execution=there.pk, through="admin,sql")[0] == "there"

    def test_a_period_includes_its_beginning_and_excludes_its_end(self, client: APIClient, ann: Any) -> None:
        run, noon = WorkflowExecutionFactory(), timezone.now().replace(microsecond=0) - timedelta(days=1)
        for hours in (0, 1, 2):
            entry_at(noon + timedelta(hours=hours), run, username="ann", reason=str(hours))
        found = reasons(client, user="ann", after=noon.isoformat(), before=(noon + timedelta(hours=2)).isoformat())
        assert found == ["1", "0"]

    @pytest.mark.parametrize(
        ("query", "name"),
        [("through=x", "through"), ("token=x", "token"), ("after=x", "after"), ("who=ann", "who"), ("kind=", "kind")],
    )
    def test_what_it_does_not_know_is_refused_by_name(self, client: APIClient, query: str, name: str) -> None:
        answer = client.get(f"{ACTIVITY}?{query}")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, f"?{name}")


class TestRights:
    def test_each_kind_is_for_staff_who_may_view_its_records(
        self, ann: Any, staff: Any, workflow: Workflow, api: Callable[..., APIClient]
    ) -> None:
        node = in_state(NodeExecutionFactory(), "running")
        done_by(staff).delete()

        def kinds(*codenames: str) -> set[str]:
            ann.user_permissions.set(permissions(*codenames))
            rows = asked(api(type(ann).objects.get(pk=ann.pk)))
            assert str(node.pk) not in {row["node_execution"] for row in rows} or "view_nodeexecution" in codenames
            return {row["kind"] for row in rows}

        assert kinds() == set()
        assert kinds("view_workflowexecution") == {"execution"}
        assert kinds("view_deletion") == {"deletion"}
        assert "workflow" in kinds("view_definitionchange")
        assert kinds("view_workflowexecution", "view_nodeexecution") == {"execution"}

    def test_for_others_than_staff_it_is_empty(self, workflow: Workflow, api: Callable[..., APIClient]) -> None:
        WorkflowExecutionFactory(workflow=workflow).cancel()
        assert asked(api(workflow.owner)) == []

    def test_a_bound_token_sees_what_was_done_to_its_workflows(
        self, staff: Any, ann: Any, workflow: Workflow, api: Callable[..., APIClient]
    ) -> None:
        here, gone = (WorkflowExecutionFactory(workflow=workflow) for _ in range(2))
        done_by(ann, reason="elsewhere")
        with act_as(through=Through.ADMIN, user=ann, reason="here"):
            here.cancel()
            gone.delete()
        found = asked(api(staff, bound_to=[workflow.pk]), user="ann")
        assert [(row["kind"], row["reason"]) for row in found] == [("deletion", "here"), ("execution", "here")]

    def test_a_token_needs_the_scope_to_read(self, staff: Any, api: Callable[..., APIClient]) -> None:
        assert api(staff, scopes=[Scope.EXECUTIONS_REPORT]).get(ACTIVITY).status_code == 403

    def test_nobody_writes_it(self, client: APIClient) -> None:
        assert client.post(ACTIVITY, {}, format="json").status_code == 405
        assert not Activity.objects.filter(act="post").exists()
