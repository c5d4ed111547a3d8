"""Workflows in the admin: made and edited with their nodes and edges, the rules of a DAG held for all that is sent."""

import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from executions.tests.cast import permissions
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from workflows.admin.workflows import WorkflowAdmin
from workflows.models import Edge, Node, Workflow
from workflows.tests.factories import EdgeFactory, NodeFactory, UserFactory, WorkflowFactory
from workflows.tests.pages import (
    LIST,
    Data,
    add,
    address,
    as_sent,
    edges_of,
    graph_of,
    sentences,
    signed_in,
    with_graph,
    without,
)

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


EDGE = {"source_node": "fetch", "target_node": "rank"}


class TestMaking:
    def test_a_workflow_is_made_with_its_graph(self, client: Client, staff: Any) -> None:
        data = as_sent(client.get(f"{LIST}add/")) | {"name": "new"}
        for name in ("a", "b"):
            data = add(data, "nodes", name=name, node_type="tool")
        data = add(data, "edges", source_node="a", target_node="b")
        assert client.post(f"{LIST}add/", data).status_code == 302
        workflow = Workflow.objects.get()
        assert (workflow.name, workflow.owner, workflow.config, workflow.version) == ("new", staff, {}, 1)
        assert edges_of(workflow) == {"a → b"}
        assert [(node.name, node.retry_config) for node in workflow.nodes.all()] == [
            ("a", {"max_retries": 3, "delay": 1}),
            ("b", {"max_retries": 3, "delay": 1}),
        ]

    def test_a_node_and_an_edge_are_added_without_json(self, client: Client) -> None:
        data = as_sent(client.get(f"{LIST}add/")) | {"name": "new", "_preview": "1"}
        for more in ({"add_name": "a", "add_type": "agent"}, {"add_name": "b"}, {"add_source": "a", "add_target": "b"}):
            data = as_sent(client.post(f"{LIST}add/", data | more)) | {"_preview": "1"}
        assert not Workflow.objects.exists()
        del data["_preview"]
        assert client.post(f"{LIST}add/", data).status_code == 302
        assert edges_of(Workflow.objects.get()) == {"a → b"}
        assert Node.objects.get(name="a").node_type == "agent"

    @pytest.mark.parametrize("more", [{}, {"add_name": "b"}, {"_preview": "1"}])
    def test_half_an_edge_is_said_and_stays_as_it_was_typed(self, client: Client, more: Data) -> None:
        data = as_sent(client.get(f"{LIST}add/")) | {"name": "new"}
        data = add(data, "nodes", name="a", node_type="tool")
        response = client.post(f"{LIST}add/", data | {"add_source": "a"} | more)
        assert "A new edge needs both its ends" in sentences(response)
        assert 'name="add_source" value="a"' in response.content.decode()
        assert not Workflow.objects.exists()

    def test_two_nodes_of_one_name_are_a_sentence(self, client: Client) -> None:
        data = as_sent(client.get(f"{LIST}add/")) | {"name": "new"}
        for _ in range(2):
            data = add(data, "nodes", name="a", node_type="tool")
        assert "/nodes/1/name (a): Another node has this name." in sentences(client.post(f"{LIST}add/", data))
        assert not Workflow.objects.exists()


class TestEditing:
    def test_nothing_typed_changes_nothing(self, client: Client, workflow: Workflow) -> None:
        Workflow.objects.filter(pk=workflow.pk).update(description="first\nsecond  \n", variables={"a": "b\nc"})
        before = Workflow.objects.values().get()
        graph = Workflow.objects.get().graph_now()
        page = as_sent(client.get(address(workflow)))
        assert "\r\n" in page["description"]
        response = client.post(address(workflow), page, follow=True)
        assert "Nothing was changed." in response.content.decode()
        assert Workflow.objects.values().get() == before
        assert Workflow.objects.get().graph_now().nodes == graph.nodes
        assert not LogEntry.objects.exists()

    def test_what_is_typed_is_stored_with_the_ends_of_lines_that_texts_have_here(
        self, client: Client, workflow: Workflow, page: Data
    ) -> None:
        client.post(address(workflow), page | {"description": "one\r\ntwo"})
        assert Workflow.objects.get().description == "one\ntwo"

    def test_spaces_between_change_nothing_either(self, client: Client, workflow: Workflow, page: Data) -> None:
        assert client.post(address(workflow), with_graph(page, graph_of(page))).status_code == 302
        assert Workflow.objects.get().version == workflow.version

    def test_an_edge_is_added(self, client: Client, workflow: Workflow, page: Data) -> None:
        data = add(page, "edges", source_node="fetch", target_node="report")
        assert client.post(address(workflow), data).status_code == 302
        assert edges_of(workflow) == {"fetch → rank", "rank → report", "fetch → report"}
        assert Workflow.objects.get().version == workflow.version + 1

    def test_an_edge_is_removed(self, client: Client, workflow: Workflow, page: Data) -> None:
        graph = graph_of(page)
        graph["edges"] = [edge for edge in graph["edges"] if edge["source_node"] != "fetch"]
        assert client.post(address(workflow), with_graph(page, graph)).status_code == 302
        assert edges_of(workflow) == {"rank → report"}

    def test_a_chain_is_turned_round_in_one_go(self, client: Client, workflow: Workflow, page: Data) -> None:
        graph = graph_of(page)
        for edge in graph["edges"]:
            edge["source_node"], edge["target_node"] = edge["target_node"], edge["source_node"]
        assert client.post(address(workflow), with_graph(page, graph)).status_code == 302
        assert edges_of(workflow) == {"rank → fetch", "report → rank"}

    def test_two_nodes_trade_their_names_and_stay_the_same(
        self, client: Client, workflow: Workflow, page: Data, node: Any
    ) -> None:
        first, graph = node("fetch"), graph_of(page)
        for each in graph["nodes"]:
            each["name"] = {"fetch": "rank", "rank": "fetch"}.get(each["name"], each["name"])
        assert client.post(address(workflow), with_graph(page, graph)).status_code == 302
        assert node("rank") == first
        assert edges_of(workflow) == {"fetch → rank", "rank → report"}

    def test_a_field_that_is_taken_out_has_its_default_again(
        self, client: Client, workflow: Workflow, node: Any
    ) -> None:
        Node.objects.filter(name="fetch").update(timeout_seconds=7)
        graph = graph_of(page := as_sent(client.get(address(workflow))))
        assert [each.pop("timeout_seconds", None) for each in graph["nodes"]] == [7, None, None]
        assert client.post(address(workflow), with_graph(page, graph)).status_code == 302
        assert node("fetch").timeout_seconds == 300

    def test_masked_values_come_back_masked(self, client: Client, workflow: Workflow, node: Any) -> None:
        Node.objects.filter(name="fetch").update(config={"api_key": "hunter2-hunter2", "url": "x"})
        page = as_sent(client.get(address(workflow)))
        assert "hunter2" not in page["graph"]
        data = page | {"graph": page["graph"].replace('"url": "x"', '"url": "y"')}
        assert client.post(address(workflow), data).status_code == 302
        assert node("fetch").config == {"api_key": "***masked***", "url": "y"}

    def test_a_node_goes_with_its_edges(self, client: Client, workflow: Workflow, page: Data) -> None:
        assert client.post(address(workflow), without(page, "report")).status_code == 302
        assert edges_of(workflow) == {"fetch → rank"}
        assert not workflow.nodes.filter(name="report").exists()

    def test_a_node_whose_name_could_be_an_id_is_named_by_its_id(self, client: Client, workflow: Workflow) -> None:
        Node.objects.filter(name="rank").update(name=str(workflow.pk))
        page = as_sent(client.get(address(workflow)))
        data = add(page, "nodes", name="new", node_type="tool")
        assert client.post(address(workflow), data).status_code == 302
        assert workflow.edges.count() == 2

    def test_emptied_json_becomes_its_default(self, client: Client, workflow: Workflow, page: Data) -> None:
        assert client.post(address(workflow), page | {"config": ""}).status_code == 302
        assert Workflow.objects.get().config == {}

    def test_a_look_at_what_is_typed_saves_nothing(self, client: Client, workflow: Workflow, page: Data) -> None:
        data = add(page, "nodes", name="brand new", node_type="tool")
        response = client.post(address(workflow), data | {"_preview": "1"})
        html = response.content.decode()
        assert "Preview: nothing is saved yet" in html
        assert "<title>brand new</title>" in html
        assert as_sent(response)["graph"] == data["graph"]
        assert "Please correct" not in html
        assert workflow.nodes.count() == 3

    def test_five_hundred_nodes_are_changed_and_the_form_has_as_many_fields(
        self, client: Client, workflow: Workflow
    ) -> None:
        few = len(as_sent(client.get(address(workflow))))
        Node.objects.bulk_create(Node(workflow=workflow, name=f"node {n}", node_type="tool") for n in range(500))
        page = as_sent(client.get(address(workflow)))
        assert len(page) == few < 20
        assert len(page["graph"].splitlines()) < 520
        graph = graph_of(page)
        graph["nodes"][400]["timeout_seconds"] = 9
        assert client.post(address(workflow), with_graph(page, graph)).status_code == 302
        assert [node.timeout_seconds for node in workflow.nodes.order_by("id")].index(9) == 400

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

    def test_nothing_beside_the_owner_changes_or_deletes_a_user(self, client: Client, workflow: Workflow) -> None:
        for path in (address(workflow), "/admin/tokens/token/add/"):
            html = client.get(path).content.decode()
            assert "related-widget-wrapper-link" not in html
            assert "/admin/auth/user/__fk__/" not in html


class TestRulesOfADAG:
    def refused(self, client: Client, workflow: Workflow, data: Data) -> str:
        """What is said; nothing is changed, and what was typed is still there."""
        before = edges_of(workflow)
        response = client.post(address(workflow), data)
        said = sentences(response)
        assert edges_of(workflow) == before
        assert Workflow.objects.get(pk=workflow.pk).version == workflow.version
        if "\x00" not in data["graph"]:
            assert as_sent(response)["graph"].split() == data["graph"].split()
        return said

    def test_a_circle_is_named_beside_the_text_and_drawn_none_the_less(
        self, client: Client, workflow: Workflow, page: Data
    ) -> None:
        data = add(page, "edges", source_node="report", target_node="fetch")
        said = self.refused(client, workflow, data)
        assert "The edges close a circle: " in said
        assert all(name in said for name in ("fetch", "rank", "report"))
        html = client.post(address(workflow), data).content.decode()
        assert html.index("The edges close a circle") < html.index('id="id_graph"')
        assert html.index('<a href="#id_graph">Graph</a>: /edges: The edges close a circle') < html.index(
            'id="id_name"'
        )

    def test_a_circle_of_new_edges_alone_is_named(self, client: Client, workflow: Workflow, page: Data) -> None:
        graph = graph_of(page) | {"edges": [EDGE, {"source_node": "rank", "target_node": "fetch"}]}
        assert "The edges close a circle" in self.refused(client, workflow, with_graph(page, graph))

    def test_a_node_cannot_lead_to_itself(self, client: Client, workflow: Workflow, page: Data) -> None:
        data = add(page, "edges", source_node="rank", target_node="rank")
        assert "/edges/2/target_node (rank → rank): A node cannot lead to itself" in self.refused(
            client, workflow, data
        )

    @pytest.mark.parametrize("handle", [None, "", "out"])
    def test_the_same_edge_twice_is_refused(
        self, handle: str | None, client: Client, workflow: Workflow, page: Data
    ) -> None:
        ends = {"source_node": "fetch", "target_node": "report", "source_handle": handle}
        data = add(add(page, "edges", **ends), "edges", **ends)
        assert "The same edge stands further up" in self.refused(client, workflow, data)

    def test_the_same_edge_with_another_handle_is_another_edge(
        self, client: Client, workflow: Workflow, page: Data
    ) -> None:
        assert client.post(address(workflow), add(page, "edges", **EDGE, source_handle="b")).status_code == 302
        assert workflow.edges.count() == 3

    def test_only_nodes_of_the_workflow_are_taken(self, client: Client, workflow: Workflow, page: Data) -> None:
        other = NodeFactory(name="of another one")
        assert "of another one" not in client.get(address(workflow)).content.decode()
        for bad in (str(other.pk), "of another one", "x"):
            data = add(page, "edges", source_node="fetch", target_node=bad)
            assert "/edges/2/target_node (fetch → " in self.refused(client, workflow, data)

    def test_a_node_of_a_name_that_is_taken_is_refused(self, client: Client, workflow: Workflow, page: Data) -> None:
        data = add(page, "nodes", name="rank", node_type="tool")
        assert "/nodes/3/name (rank)" in self.refused(client, workflow, data)

    def test_an_edge_to_a_node_that_leaves_is_refused(self, client: Client, workflow: Workflow, page: Data) -> None:
        graph = graph_of(page)
        graph["nodes"] = [node for node in graph["nodes"] if node["name"] != "report"]
        said = self.refused(client, workflow, with_graph(page, graph))
        assert "/edges/1/target_node (rank → report): The workflow has no node" in said

    def test_a_node_that_was_executed_is_retired_and_its_run_keeps_it(
        self, client: Client, workflow: Workflow, page: Data, node: Any
    ) -> None:
        run = NodeExecutionFactory(node=node("report"), workflow_execution__workflow=workflow).workflow_execution
        assert client.post(address(workflow), without(page, "report")).status_code == 302
        assert edges_of(workflow) == {"fetch → rank"}
        assert "report" not in as_sent(client.get(address(workflow)))["graph"]
        assert {each["name"] for each in run.graph.nodes} == {"fetch", "rank", "report"}

    def test_a_name_is_free_again_once_its_node_is_retired(
        self, client: Client, workflow: Workflow, page: Data, node: Any
    ) -> None:
        NodeExecutionFactory(node=node("report"), workflow_execution__workflow=workflow)
        retired = node("report")
        client.post(address(workflow), without(page, "report"))
        data = add(as_sent(client.get(address(workflow))), "nodes", name="report", node_type="tool")
        assert client.post(address(workflow), data).status_code == 302
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
    @pytest.mark.parametrize("field", ["config", "variables", "graph"])
    def test_json_that_cannot_be_stored_is_a_sentence(
        self, field: str, text: str, client: Client, workflow: Workflow, page: Data
    ) -> None:
        if field == "graph":
            text = page["graph"].replace('"node_type"', f'"config": {{"deep": {text}}}, "node_type"', 1)
        said = self.refused(client, workflow, page | {field: text})
        expected = ("cannot be stored", "Enter a valid JSON", "is no JSON", "nested deeper", "4300 digits")
        assert any(sentence in said for sentence in expected)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('{"nodes": [\n  {"name": "a" "node_type": "tool"}]}', "Line 2, column 16"),
            ("[]", "an object with these two lists"),
            ('{"nodes": {}}', "an object with these two lists"),
            ('{"nodes": [7]}', "an object with these two lists"),
            ('{"vertices": []}', "an object with these two lists"),
            ('{"nodes": [{"name": "a", "name": "b", "node_type": "tool"}]}', "stands twice in one object"),
            ('{"nodes": [{"name": "a", "node_type": "tool", "timout": 3}]}', "/nodes/0/timout: there is no field"),
            ('{"nodes": [{"name": "a"}]}', "/nodes/0/node_type (a)"),
            ('{"nodes": [{"name": "a", "node_type": "bogus"}]}', "/nodes/0/node_type (a)"),
            (
                '{"nodes": [{"name": "a", "node_type": "tool", "retry_config": {"max_retries": "x"}}]}',
                "/retry_config (a)",
            ),
            ('{"nodes": [{"name": "a", "node_type": "tool", "timeout_seconds": -1}]}', "/nodes/0/timeout_seconds (a)"),
            ('{"nodes": [{"id": "x", "name": "a", "node_type": "tool"}]}', "/nodes/0/id (a)"),
            ('{"edges": [{}]}', "/edges/0/source_node (? → ?)"),
        ],
    )
    def test_what_is_no_graph_is_told_with_its_place(
        self, text: str, said: str, client: Client, workflow: Workflow, page: Data
    ) -> None:
        assert said in self.refused(client, workflow, page | {"graph": text})

    def test_many_faults_are_not_all_told(self, client: Client, workflow: Workflow, page: Data) -> None:
        text = json.dumps({"nodes": [{"name": f"node {number}"} for number in range(50)]})
        said = self.refused(client, workflow, page | {"graph": text})
        assert "And 30 more." in said

    def test_more_nodes_than_a_workflow_may_have_are_refused(
        self, client: Client, workflow: Workflow, page: Data, settings: Any
    ) -> None:
        settings.WORKFLOWS_MAX_NODES = 3
        said = self.refused(client, workflow, add(page, "nodes", name="fourth", node_type="tool"))
        assert "/nodes: A workflow has at most 3 nodes, and these are 4" in said

    @pytest.mark.parametrize(("field", "value"), [("name", "\x00"), ("owner", "x"), ("graph", "\x00")])
    def test_garbage_is_never_a_500(
        self, field: str, value: str, client: Client, workflow: Workflow, page: Data
    ) -> None:
        self.refused(client, workflow, page | {field: value})


class TestTwoWhoEditAtOnce:
    def test_the_second_is_told_keeps_what_was_typed_and_overwrites_nothing(
        self, client: Client, workflow: Workflow, page: Data
    ) -> None:
        assert client.post(address(workflow), page | {"name": "first"}).status_code == 302
        typed = add(page, "nodes", name="mine", node_type="tool")
        response = client.post(address(workflow), typed | {"name": "second"})
        assert "changed since you opened it" in sentences(response)
        assert Workflow.objects.get().name == "first"
        assert as_sent(response)["graph"] == typed["graph"]
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

    def test_a_change_between_check_and_save_is_a_sentence_beside_what_was_typed(
        self, client: Client, workflow: Workflow, page: Data
    ) -> None:
        def meanwhile(self: Any, *args: Any) -> None:
            Workflow.objects.filter(pk=workflow.pk).update(name="first")
            save(self, *args)

        save = WorkflowAdmin.save_model
        with mock.patch.object(WorkflowAdmin, "save_model", meanwhile):
            response = client.post(address(workflow), page | {"name": "second"})
        assert "changed since it was read" in sentences(response)
        assert as_sent(response)["name"] == "second"
        assert Workflow.objects.get().name == "momentum"  # the other one's change was in this transaction too

    def test_what_the_database_alone_refuses_is_a_sentence_too(
        self, client: Client, workflow: Workflow, page: Data
    ) -> None:
        data = add(page, "edges", source_node="report", target_node="fetch")
        with mock.patch("workflows.definition.graph.check_acyclic"):
            response = client.post(address(workflow), data)
        assert "Another change came in between" in sentences(response)
        assert edges_of(workflow) == {"fetch → rank", "rank → report"}


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
        client = signed_in(user)
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


def test_stored_json_comes_back_as_it_was(client: Client, workflow: Workflow, page: Data) -> None:
    value = {"deep": [1, 2.5, None, "é \\u0000"]}
    assert client.post(address(workflow), page | {"config": json.dumps(value)}).status_code == 302
    assert Workflow.objects.get().config == value
