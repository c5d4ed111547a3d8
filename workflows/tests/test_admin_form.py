"""The form of a workflow: made and edited with its nodes and edges as one text."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from workflows.models import Node, Workflow
from workflows.tests.factories import EdgeFactory, NodeFactory
from workflows.tests.pages import (
    LIST,
    Data,
    add,
    address,
    as_sent,
    edges_of,
    graph_of,
    sentences,
    with_graph,
    without,
)


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
        assert "A new edge needs both ends" in sentences(response)
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

    def test_a_fault_of_the_graph_is_shown_once(self, client: Client, workflow: Workflow, page: Data) -> None:
        html = client.post(address(workflow), page | {"graph": "{"}).content.decode()
        assert html.count('<ul class="errorlist" id="id_graph_error">') == 1
        fault = html.partition('id="id_graph_error">')[2].partition("<li>")[2].partition("</li>")[0]
        assert (len(fault) > 10, html.count(fault)) == (True, 1)

    def test_what_is_stale_is_said_once(self, client: Client, workflow: Workflow, page: Data) -> None:
        html = client.post(address(workflow), page | {"name": "x", "read_version": "99"}).content.decode()
        assert html.count("changed since you opened it") == 1

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


def test_stored_json_comes_back_as_it_was(client: Client, workflow: Workflow, page: Data) -> None:
    value = {"deep": [1, 2.5, None, "é \\u0000"]}
    assert client.post(address(workflow), page | {"config": json.dumps(value)}).status_code == 302
    assert Workflow.objects.get().config == value
