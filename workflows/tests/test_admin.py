"""The list of workflows, its actions, and who may see and do what."""

from typing import Any
from unittest import mock

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from executions.tests.cast import permissions
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.tests.clients import client_of
from workflows.admin.workflow_admin import WorkflowAdmin
from workflows.models import Node, Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory
from workflows.tests.pages import (
    LIST,
    Data,
    address,
    as_sent,
    edges_of,
)

TO_TRASH = {"CHANGE_FORM-action": "move_to_trash", "confirmed": "yes"}


def act(client: Client, action: str, *rows: Workflow, **fields: Any) -> list[str]:
    data = {"action": action, "_selected_action": [row.pk for row in rows], "confirmed": "yes"} | fields
    response = client.post(f"{LIST}?state=all", data)
    return [str(message) for message in get_messages(response.wsgi_request)]


class TestTrash:
    def test_the_list_shows_what_is_in_use_and_the_filter_the_rest(self, client: Client, workflow: Workflow) -> None:
        gone = WorkflowFactory()
        gone.soft_delete()
        shown = {
            query: {row.pk for row in client.get(LIST + query).context["cl"].result_list}
            for query in ("", "?state=deleted", "?state=all", "?active=yes", "?active=no")
        }
        assert list(shown.values()) == [{workflow.pk}, {gone.pk}, {workflow.pk, gone.pk}, {workflow.pk}, set()]

    def test_there_and_back(self, client: Client, workflow: Workflow) -> None:
        assert act(client, "move_to_trash", workflow) == ["Moved 1 workflow to the trash."]
        assert not Workflow.objects.alive().exists()
        assert act(client, "restore", workflow)[-1] == "Restored 1 workflow."
        assert Workflow.objects.alive().exists()

    def test_from_its_page(self, client: Client, workflow: Workflow) -> None:
        client.post(
            address(workflow),
            TO_TRASH | {"_selected_action": workflow.pk},
        )
        assert not Workflow.objects.alive().exists()

    def test_a_row_that_changes_at_that_moment_says_so(self, client: Client, workflow: Workflow) -> None:
        def save_late(row: Workflow) -> None:
            Workflow.objects.filter(pk=row.pk).update(name="first")
            row.deleted_at = row.updated_at
            row.save()

        save_late.__name__ = "soft_delete"
        with mock.patch.object(Workflow, "soft_delete", save_late):
            assert "changed since it was read" in act(client, "move_to_trash", workflow)[0]


class TestDeleting:
    def test_one_without_history_is_deleted_with_nodes_and_edges(self, client: Client, workflow: Workflow) -> None:
        assert "Nodes: 3<" in client.get(f"{LIST}{workflow.pk}/delete/").content.decode()
        client.post(f"{LIST}{workflow.pk}/delete/", {"post": "yes"})
        assert not Workflow.objects.exists()
        assert not Node.objects.exists()

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_one_with_history_is_refused_with_a_sentence(self, method: str, client: Client, workflow: Workflow) -> None:
        WorkflowExecutionFactory(workflow=workflow)
        response = getattr(client, method)(f"{LIST}{workflow.pk}/delete/", {"post": "yes"}, follow=True)
        assert "has been executed and its history is kept" in response.content.decode()
        assert response.redirect_chain[0][0] == address(workflow)
        assert Workflow.objects.exists()

    def test_in_bulk_those_that_were_executed_are_left_out(self, client: Client, workflow: Workflow) -> None:
        other = WorkflowFactory(chain=["a", "b"])
        WorkflowExecutionFactory(workflow=workflow)
        data = {"action": "delete_selected", "_selected_action": [workflow.pk, other.pk]}
        html = client.post(f"{LIST}?state=all", data).content.decode()
        assert "Delete 1 workflow</button>" in html
        assert "1 is left out" in html
        assert "has been executed and its history is kept" in html
        assert Workflow.objects.count() == 2
        said = act(client, "delete_selected", workflow, other)
        assert said == ["Deleted 1 workflow."]
        assert Workflow.objects.get() == workflow
        assert LogEntry.objects.get().object_id == str(other.pk)

    def test_a_first_run_at_that_moment_is_a_sentence(self, client: Client, workflow: Workflow) -> None:
        WorkflowExecutionFactory(workflow=workflow)
        with mock.patch.object(WorkflowAdmin, "get_deleted_objects", return_value=([], {}, set(), [])):
            one = client.post(f"{LIST}{workflow.pk}/delete/", {"post": "yes"}, follow=True)
        assert "its history is kept: it cannot be deleted" in one.content.decode()
        with mock.patch("django.db.models.query.QuerySet.exists", return_value=False):
            many = act(client, "delete_selected", workflow)
        assert "its history is kept: it cannot be deleted" in many[0]
        assert Workflow.objects.get() == workflow
        assert not LogEntry.objects.exists()


class TestWhoMay:
    def test_strangers_and_owners_are_sent_to_the_login(self, stranger: Any, owner: Any, workflow: Workflow) -> None:
        for user in (stranger, owner):
            assert client_of(user).get(address(workflow)).status_code == 302

    def test_a_newcomer_is_refused(self, newcomer: Any, workflow: Workflow) -> None:
        assert client_of(newcomer).get(LIST).status_code == 403
        assert client_of(newcomer).get(address(workflow)).status_code == 403

    def test_a_teammate_may_look_and_change_nothing(self, teammate: Any, workflow: Workflow, page: Data) -> None:
        client = client_of(teammate)
        html = client.get(address(workflow)).content.decode()
        assert "&quot;source_node&quot;: &quot;fetch&quot;, &quot;target_node&quot;: &quot;rank&quot;" in html
        assert "<title>fetch</title>" in html
        assert 'name="_save"' not in html
        assert client.post(address(workflow), page | {"name": "mine"}).status_code == 403
        client.post(LIST, {"action": "move_to_trash", "_selected_action": [workflow.pk], "confirmed": "yes"})
        client.post(
            address(workflow),
            TO_TRASH | {"_selected_action": workflow.pk},
        )
        assert Workflow.objects.alive().get().name == "momentum"

    def test_who_may_change_workflows_but_not_their_nodes_changes_the_workflow(self, workflow: Workflow) -> None:
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("view_workflow", "change_workflow", "view_node", "view_edge"))
        client = client_of(user)
        data = as_sent(client.get(address(workflow)))
        assert "graph" not in data
        assert client.post(address(workflow), data | {"name": "renamed", "graph": "{}"}).status_code == 302
        assert Workflow.objects.get().name == "renamed"
        assert edges_of(workflow) == {"fetch → rank", "rank → report"}


def test_the_list_reads_what_it_shows_and_of_the_owner_the_username(client: Client, workflow: Workflow) -> None:
    with CaptureQueriesContext(connection) as queries:
        client.get(LIST)
    (sql,) = [query["sql"] for query in queries if query["sql"].startswith('SELECT "workflows"."id"')]
    assert '"auth_user"."username"' in sql
    unread = ("description", "config", "variables", "password", "email", "last_login")
    assert [name for name in unread if f'"{name}"' in sql] == []


@pytest.mark.parametrize(
    "query", ["config__x=1", "name__regex=(", "owner__password__startswith=a", "state=x", "q=%00", "p=x"]
)
def test_garbage_in_the_query_string_is_never_a_500(query: str, client: Client) -> None:
    assert client.get(f"{LIST}?{query}", follow=True).status_code in {200, 400}


@pytest.mark.parametrize("pk", ["x", "%00", "0190f5e5-0000-7000-8000-000000000000"])
@pytest.mark.parametrize("view", ["change", "delete", "history"])
def test_an_id_that_is_none_is_never_a_500(pk: str, view: str, client: Client) -> None:
    assert client.get(f"{LIST}{pk}/{view}/").status_code in {302, 400, 404}


def test_a_selected_id_that_is_none_is_a_bad_request(client: Client) -> None:
    assert client.post(LIST, {"action": "restore", "_selected_action": ["x"], "index": "0"}).status_code == 400
