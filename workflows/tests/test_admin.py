"""Workflows in the admin: made and edited with their nodes and edges, the rules of a DAG held for all that is sent."""

import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from executions.tests.cast import permissions
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from workflows.admin.inlines import EdgeFormSet, NodeFormSet
from workflows.models import Edge, Node, Workflow
from workflows.tests.factories import EdgeFactory, NodeFactory, UserFactory, WorkflowFactory
from workflows.tests.pages import LIST, Data, add, address, as_sent, edges_of, row, sentences, signed_in

TO_TRASH = {"CHANGE_FORM-action": "move_to_trash", "confirmed": "yes"}


@pytest.fixture
def client(staff: Any) -> Client:
    return signed_in(staff)


@pytest.fixture
def page(client: Client, workflow: Workflow) -> Data:
    return as_sent(client.get(address(workflow)))


@pytest.fixture
def node(workflow: Workflow) -> Callable[[str], Node]:
    return lambda name: workflow.nodes.get(name=name)


@pytest.fixture
def edge(workflow: Workflow) -> Callable[[str], Edge]:
    return lambda source: workflow.edges.get(source_node__name=source)


class TestMaking:
    def test_a_workflow_is_made_with_its_nodes(self, client: Client, staff: Any) -> None:
        data = as_sent(client.get(f"{LIST}add/")) | {"name": "new"}
        for name in ("a", "b"):
            data = add(data, "nodes", name=name, node_type="tool", timeout_seconds=300, position_x=0, position_y=0)
        assert client.post(f"{LIST}add/", data).status_code == 302
        workflow = Workflow.objects.get()
        assert (workflow.name, workflow.owner, workflow.config) == ("new", staff, {})
        assert [(node.name, node.retry_config) for node in workflow.nodes.all()] == [
            ("a", {"max_retries": 3, "delay": 1}),
            ("b", {"max_retries": 3, "delay": 1}),
        ]

    def test_edges_come_once_the_nodes_are_saved(self, client: Client) -> None:
        prefixes = [inline.formset.prefix for inline in client.get(f"{LIST}add/").context["inline_admin_formsets"]]
        assert prefixes == ["nodes"]

    def test_two_nodes_of_one_name_are_a_sentence(self, client: Client) -> None:
        data = as_sent(client.get(f"{LIST}add/")) | {"name": "new"}
        for _ in range(2):
            data = add(data, "nodes", name="a", node_type="tool", timeout_seconds=300, position_x=0, position_y=0)
        assert "Two nodes have the same name" in sentences(client.post(f"{LIST}add/", data))
        assert not Workflow.objects.exists()


class TestEditing:
    def test_nothing_typed_changes_nothing_but_the_version(
        self, client: Client, workflow: Workflow, page: Data
    ) -> None:
        before = edges_of(workflow)
        assert client.post(address(workflow), page).status_code == 302
        assert edges_of(workflow) == before
        assert Workflow.objects.get().version == workflow.version + 1

    def test_an_edge_is_added(self, client: Client, workflow: Workflow, page: Data, node: Any) -> None:
        data = add(page, "edges", source_node=node("fetch").pk, target_node=node("report").pk, priority=0)
        assert client.post(address(workflow), data).status_code == 302
        assert edges_of(workflow) == {"fetch → rank", "rank → report", "fetch → report"}

    def test_an_edge_is_removed(self, client: Client, workflow: Workflow, page: Data, edge: Any) -> None:
        data = page | {row(page, "edges", edge("fetch").pk) + "DELETE": "on"}
        assert client.post(address(workflow), data).status_code == 302
        assert edges_of(workflow) == {"rank → report"}

    def test_a_chain_is_turned_round_in_one_go(
        self, client: Client, workflow: Workflow, page: Data, edge: Any, node: Any
    ) -> None:
        data, kept = dict(page), {edge.pk for edge in workflow.edges.all()}
        for source, target in (("fetch", "rank"), ("rank", "report")):
            form = row(page, "edges", edge(source).pk)
            data |= {f"{form}source_node": str(node(target).pk), f"{form}target_node": str(node(source).pk)}
        assert client.post(address(workflow), data).status_code == 302
        assert edges_of(workflow) == {"rank → fetch", "report → rank"}
        assert {edge.pk for edge in workflow.edges.all()} == kept

    def test_two_edges_trade_their_handles(self, client: Client, workflow: Workflow, node: Any) -> None:
        ends = {"workflow": workflow, "source_node": node("fetch"), "target_node": node("report")}
        first, second = EdgeFactory(source_handle="x", **ends), EdgeFactory(source_handle="y", **ends)
        page = as_sent(client.get(address(workflow)))
        trade = {f"{row(page, 'edges', pk)}source_handle": value for pk, value in ((first.pk, "y"), (second.pk, "x"))}
        assert client.post(address(workflow), page | trade).status_code == 302
        first.refresh_from_db()
        assert first.source_handle == "y"

    def test_an_edge_removed_makes_room_for_its_opposite(
        self, client: Client, workflow: Workflow, page: Data, edge: Any, node: Any
    ) -> None:
        data = page | {row(page, "edges", edge("fetch").pk) + "DELETE": "on"}
        data = add(data, "edges", source_node=node("rank").pk, target_node=node("fetch").pk, priority=0)
        assert client.post(address(workflow), data).status_code == 302
        assert edges_of(workflow) == {"rank → fetch", "rank → report"}

    def test_a_node_goes_with_its_edges(
        self, client: Client, workflow: Workflow, page: Data, node: Any, edge: Any
    ) -> None:
        gone = [row(page, "nodes", node("report").pk), row(page, "edges", edge("rank").pk)]
        data = page | {f"{form}DELETE": "on" for form in gone}
        assert client.post(address(workflow), data).status_code == 302
        assert edges_of(workflow) == {"fetch → rank"}
        assert not workflow.nodes.filter(name="report").exists()

    def test_emptied_json_becomes_its_default(self, client: Client, workflow: Workflow, page: Data) -> None:
        assert client.post(address(workflow), page | {"config": "", "nodes-0-retry_config": ""}).status_code == 302
        assert Workflow.objects.get().config == {}
        assert {node.max_retries for node in workflow.nodes.all()} == {3}

    def test_the_queries_of_the_page_do_not_grow_with_its_nodes_and_edges(
        self, client: Client, workflow: Workflow
    ) -> None:
        client.get(address(workflow))
        with CaptureQueriesContext(connection) as few:
            client.get(address(workflow))
        for source in workflow.nodes.all():
            for _ in range(10):
                EdgeFactory(workflow=workflow, source_node=source, target_node=NodeFactory(workflow=workflow))
        with CaptureQueriesContext(connection) as many:
            client.get(address(workflow))
        assert len(many) == len(few)


class TestRulesOfADAG:
    def refused(self, client: Client, workflow: Workflow, data: Data) -> str:
        before = edges_of(workflow)
        said = sentences(client.post(address(workflow), data))
        assert edges_of(workflow) == before
        assert Workflow.objects.get(pk=workflow.pk).version == workflow.version
        return said

    def test_a_circle_is_named(self, client: Client, workflow: Workflow, page: Data, node: Any) -> None:
        data = add(page, "edges", source_node=node("report").pk, target_node=node("fetch").pk, priority=0)
        said = self.refused(client, workflow, data)
        assert "The edges close a circle: " in said
        assert all(name in said for name in ("fetch", "rank", "report"))

    def test_a_circle_of_new_edges_alone_is_named(self, client: Client, workflow: Workflow, node: Any) -> None:
        workflow.edges.all().delete()
        data = as_sent(client.get(address(workflow)))
        for source, target in (("fetch", "rank"), ("rank", "fetch")):
            data = add(data, "edges", source_node=node(source).pk, target_node=node(target).pk, priority=0)
        assert "The edges close a circle" in self.refused(client, workflow, data)

    def test_a_node_cannot_lead_to_itself(self, client: Client, workflow: Workflow, page: Data, node: Any) -> None:
        data = add(page, "edges", source_node=node("rank").pk, target_node=node("rank").pk, priority=0)
        assert "A node cannot lead to itself" in self.refused(client, workflow, data)

    @pytest.mark.parametrize("handle", ["", "out"])
    def test_the_same_edge_twice_is_refused(
        self, handle: str, client: Client, workflow: Workflow, page: Data, node: Any
    ) -> None:
        ends = {"source_node": node("fetch").pk, "target_node": node("report").pk, "priority": 0}
        data = add(add(page, "edges", **ends, source_handle=handle), "edges", **ends, source_handle=handle)
        assert "The same edge exists already" in self.refused(client, workflow, data)

    def test_the_same_edge_with_another_handle_is_another_edge(
        self, client: Client, workflow: Workflow, page: Data, node: Any
    ) -> None:
        ends = {"source_node": node("fetch").pk, "target_node": node("rank").pk, "priority": 0}
        assert client.post(address(workflow), add(page, "edges", **ends, source_handle="b")).status_code == 302
        assert workflow.edges.count() == 3

    def test_only_nodes_of_the_workflow_are_offered_and_taken(
        self, client: Client, workflow: Workflow, page: Data, node: Any
    ) -> None:
        other = NodeFactory(name="of another one")
        assert "of another one" not in client.get(address(workflow)).content.decode()
        for bad in (other.pk, "x", "\x00"):
            data = add(page, "edges", source_node=node("fetch").pk, target_node=bad, priority=0)
            assert "This node is not of this workflow" in self.refused(client, workflow, data)

    def test_a_node_of_a_name_that_is_taken_is_refused(
        self, client: Client, workflow: Workflow, page: Data, node: Any
    ) -> None:
        data = add(page, "nodes", name="rank", node_type="tool", timeout_seconds=300, position_x=0, position_y=0)
        assert "name" in self.refused(client, workflow, data)

    def test_an_edge_to_a_node_that_leaves_is_refused(
        self, client: Client, workflow: Workflow, page: Data, node: Any
    ) -> None:
        data = page | {row(page, "nodes", node("report").pk) + "DELETE": "on"}
        assert "This node leaves the graph" in self.refused(client, workflow, data)

    def test_a_node_that_was_executed_cannot_leave(
        self, client: Client, workflow: Workflow, page: Data, node: Any, edge: Any
    ) -> None:
        run = WorkflowExecutionFactory(workflow=workflow)
        NodeExecutionFactory(workflow_execution=run, node=node("report"))
        gone = [row(page, "nodes", node("report").pk), row(page, "edges", edge("rank").pk)]
        said = self.refused(client, workflow, page | {f"{form}DELETE": "on" for form in gone})
        assert "“report” has been executed" in said
        assert "Retire it instead" in said

    def test_a_node_that_was_executed_is_retired_and_its_run_keeps_it(
        self, client: Client, workflow: Workflow, page: Data, node: Any, edge: Any
    ) -> None:
        run = NodeExecutionFactory(node=node("report"), workflow_execution__workflow=workflow).workflow_execution
        changed = {row(page, "nodes", node("report").pk) + "retire": "on"}
        changed[row(page, "edges", edge("rank").pk) + "DELETE"] = "on"
        assert client.post(address(workflow), page | changed).status_code == 302
        assert edges_of(workflow) == {"fetch → rank"}
        assert "report" not in str(as_sent(client.get(address(workflow))))
        assert {each["name"] for each in run.graph.nodes} == {"fetch", "rank", "report"}

    def test_a_name_is_free_again_once_its_node_is_retired(
        self, client: Client, workflow: Workflow, page: Data, node: Any, edge: Any
    ) -> None:
        NodeExecutionFactory(node=node("report"), workflow_execution__workflow=workflow)
        changed = {row(page, "nodes", node("report").pk) + "retire": "on"}
        changed[row(page, "edges", edge("rank").pk) + "DELETE"] = "on"
        new = {"name": "report", "node_type": "tool", "timeout_seconds": 300, "position_x": 0, "position_y": 0}
        retired = node("report")
        assert client.post(address(workflow), add(page | changed, "nodes", **new)).status_code == 302
        assert workflow.nodes.filter(name="report").count() == 2
        assert workflow.nodes.current().get(name="report") != retired

    @pytest.mark.parametrize(
        "text",
        [
            '"\\u0000"',
            '{"\\u0000": 1}',
            '"\\ud800"',
            "NaN",
            "1e999",
            "[-Infinity]",
            "{",
            "[" * 200 + "]" * 200,
            "[" * 100_000,
            "9" * 5000,
        ],
    )
    @pytest.mark.parametrize("field", ["config", "nodes-0-config", "edges-0-condition"])
    def test_json_that_cannot_be_stored_is_a_sentence(
        self, field: str, text: str, client: Client, workflow: Workflow, page: Data
    ) -> None:
        said = self.refused(client, workflow, page | {field: text})
        assert "cannot be stored" in said or "Enter a valid JSON" in said

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("nodes-TOTAL_FORMS", "x"), ("edges-0-id", "x"), ("edges-0-id", "\x00"), ("nodes-0-node_type", "bogus"),
            ("nodes-0-position_x", "nan"), ("edges-0-priority", "9" * 30), ("name", "\x00"),
            ("nodes-0-retry_config", "[]"),
            ("nodes-0-timeout_seconds", "-1"), ("owner", "x"), ("edges-0-id", "0190f5e5-0000-7000-8000-000000000000"),
        ],
    )  # fmt: skip
    def test_garbage_is_never_a_500(
        self, field: str, value: str, client: Client, workflow: Workflow, page: Data
    ) -> None:
        self.refused(client, workflow, page | {field: value})


class TestTwoWhoEditAtOnce:
    def test_the_second_is_told_and_nothing_is_overwritten(
        self, client: Client, workflow: Workflow, page: Data
    ) -> None:
        assert client.post(address(workflow), page | {"name": "first"}).status_code == 302
        response = client.post(address(workflow), page | {"name": "second"})
        assert "changed since you opened it" in sentences(response)
        assert Workflow.objects.get().name == "first"
        again = client.post(address(workflow), as_sent(response))
        assert "changed since you opened it" in sentences(again)

    @pytest.mark.parametrize("version", ["", "x", "999", None])
    def test_a_form_without_its_version_saves_nothing(
        self, version: str | None, client: Client, workflow: Workflow, page: Data
    ) -> None:
        data = {key: value for key, value in page.items() if key != "read_version"} | {"name": "second"}
        response = client.post(address(workflow), data if version is None else data | {"read_version": version})
        assert sentences(response)
        assert Workflow.objects.get().name == "momentum"

    def test_a_change_between_check_and_save_is_a_sentence(
        self, client: Client, workflow: Workflow, page: Data
    ) -> None:
        def meanwhile(formset: Any) -> None:
            Workflow.objects.filter(pk=workflow.pk).update(name="first")

        with mock.patch.object(NodeFormSet, "clean", meanwhile):
            response = client.post(address(workflow), page | {"name": "second"}, follow=True)
        assert "changed since it was read" in response.content.decode()
        assert Workflow.objects.get().name == "momentum"

    def test_what_the_database_alone_refuses_is_a_sentence_too(
        self, client: Client, workflow: Workflow, page: Data, node: Any
    ) -> None:
        data = add(page, "edges", source_node=node("report").pk, target_node=node("fetch").pk, priority=0)
        with mock.patch.object(EdgeFormSet, "clean", return_value=None):
            response = client.post(address(workflow), data, follow=True)
        assert "Another change came in between" in response.content.decode()
        assert edges_of(workflow) == {"fetch → rank", "rank → report"}

    def test_a_node_that_is_executed_meanwhile_is_retired(
        self, client: Client, workflow: Workflow, page: Data, node: Any, edge: Any
    ) -> None:
        NodeExecutionFactory(workflow_execution=WorkflowExecutionFactory(workflow=workflow), node=node("report"))
        gone = [row(page, "nodes", node("report").pk), row(page, "edges", edge("rank").pk)]
        with mock.patch.object(NodeFormSet, "clean", return_value=None):
            response = client.post(address(workflow), page | {f"{form}DELETE": "on" for form in gone})
        assert response.status_code == 302
        assert edges_of(workflow) == {"fetch → rank"}
        assert Node.objects.get(pk=node("report").pk).retired_at is not None


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
        def raced(row: Workflow) -> None:
            Workflow.objects.filter(pk=row.pk).update(name="first")
            row.deleted_at = row.updated_at
            row.save()

        raced.__name__ = "soft_delete"
        with mock.patch.object(Workflow, "soft_delete", raced):
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

    def test_in_bulk_all_go_or_none(self, client: Client, workflow: Workflow) -> None:
        other = WorkflowFactory()
        WorkflowExecutionFactory(workflow=workflow)
        said = act(client, "delete_selected", workflow, other, post="yes")
        assert [sentence for sentence in said if "has been executed" in sentence] == said
        assert Workflow.objects.count() == 2
        act(client, "delete_selected", other, post="yes")
        assert Workflow.objects.get() == workflow

    def test_a_first_run_at_that_moment_is_a_sentence(self, client: Client, workflow: Workflow) -> None:
        WorkflowExecutionFactory(workflow=workflow)
        with mock.patch(
            "workflows.admin.workflows.WorkflowAdmin.get_deleted_objects", return_value=([], {}, set(), [])
        ):
            one = client.post(f"{LIST}{workflow.pk}/delete/", {"post": "yes"}, follow=True)
            many = act(client, "delete_selected", workflow, post="yes")
        assert "its history is kept: it cannot be deleted" in one.content.decode()
        assert "its history is kept: it cannot be deleted" in many[0]


class TestWhoMay:
    def test_strangers_and_owners_are_sent_to_the_login(self, stranger: Any, owner: Any, workflow: Workflow) -> None:
        for user in (stranger, owner):
            assert signed_in(user).get(address(workflow)).status_code == 302

    def test_a_newcomer_is_refused(self, newcomer: Any, workflow: Workflow) -> None:
        assert signed_in(newcomer).get(LIST).status_code == 403
        assert signed_in(newcomer).get(address(workflow)).status_code == 403

    def test_a_teammate_may_look_and_change_nothing(self, teammate: Any, workflow: Workflow, page: Data) -> None:
        client = signed_in(teammate)
        html = client.get(address(workflow)).content.decode()
        assert "fetch → rank" in html
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
        client = signed_in(user)
        data = as_sent(client.get(address(workflow)))
        assert client.post(address(workflow), data | {"name": "renamed"}).status_code == 302
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


def test_stored_json_comes_back_as_it_was(client: Client, workflow: Workflow, page: Data) -> None:
    value = {"deep": [1, 2.5, None, "é \\u0000"]}
    assert client.post(address(workflow), page | {"config": json.dumps(value)}).status_code == 302
    assert Workflow.objects.get().config == value
