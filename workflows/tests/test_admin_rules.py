"""The rules of a DAG held for all that the form of a workflow is sent, also by two who edit at once."""

import json
from typing import Any
from unittest import mock

import pytest
from django.contrib.admin.sites import AdminSite, site
from django.test import Client

from executions.tests.factories import NodeExecutionFactory
from pastetrader.tests.proofs import LONG
from workflows.admin.workflow_admin import WorkflowAdmin
from workflows.models import Workflow
from workflows.tests.factories import NodeFactory
from workflows.tests.pages import (
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

EDGE = {"source_node": "fetch", "target_node": "rank"}
UNSTORABLE = [
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
]
NO_GRAPHS = [
    ('{"nodes": [\n  {"name": "a" "node_type": "tool"}]}', "Line 2, column 16"),
    ("[]", "an object with these two lists"),
    ('{"nodes": {}}', "an object with these two lists"),
    ('{"nodes": [7]}', "an object with these two lists"),
    ('{"vertices": []}', "an object with these two lists"),
    ('{"nodes": [{"name": "a", "name": "b", "node_type": "tool"}]}', "occurs twice in one object"),
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
]


class TestRulesOfADAG:
    def refusal_of(self, client: Client, workflow: Workflow, data: Data) -> str:
        """Return the errors; check that nothing is changed and the form still has what was typed."""
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
        said = self.refusal_of(client, workflow, data)
        assert "The edges form a cycle: " in said
        assert all(name in said for name in ("fetch", "rank", "report"))
        html = client.post(address(workflow), data).content.decode()
        assert html.index("The edges form a cycle") < html.index('id="id_graph"')

    def test_a_circle_of_new_edges_alone_is_named(self, client: Client, workflow: Workflow, page: Data) -> None:
        graph = graph_of(page) | {"edges": [EDGE, {"source_node": "rank", "target_node": "fetch"}]}
        assert "The edges form a cycle" in self.refusal_of(client, workflow, with_graph(page, graph))

    def test_a_node_cannot_lead_to_itself(self, client: Client, workflow: Workflow, page: Data) -> None:
        data = add(page, "edges", source_node="rank", target_node="rank")
        assert "/edges/2/target_node (rank → rank): A node cannot lead to itself" in self.refusal_of(
            client, workflow, data
        )

    @pytest.mark.parametrize("handle", [None, "", "out"])
    def test_the_same_edge_twice_is_refused(
        self, handle: str | None, client: Client, workflow: Workflow, page: Data
    ) -> None:
        ends = {"source_node": "fetch", "target_node": "report", "source_handle": handle}
        data = add(add(page, "edges", **ends), "edges", **ends)
        assert "The same edge occurs earlier in the list" in self.refusal_of(client, workflow, data)

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
            assert "/edges/2/target_node (fetch → " in self.refusal_of(client, workflow, data)

    def test_a_node_of_a_name_that_is_taken_is_refused(self, client: Client, workflow: Workflow, page: Data) -> None:
        data = add(page, "nodes", name="rank", node_type="tool")
        assert "/nodes/3/name (rank)" in self.refusal_of(client, workflow, data)

    def test_an_edge_to_a_node_that_leaves_is_refused(self, client: Client, workflow: Workflow, page: Data) -> None:
        graph = graph_of(page)
        graph["nodes"] = [node for node in graph["nodes"] if node["name"] != "report"]
        said = self.refusal_of(client, workflow, with_graph(page, graph))
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

    @pytest.mark.slow
    def test_json_that_cannot_be_stored_is_a_sentence(self, client: Client, workflow: Workflow, page: Data) -> None:
        """Send each value to the graph and to one of two fields of a kind; `make proofs` sends it to both."""
        expected = ("cannot be stored", "is no JSON", "nested deeper", "4300 digits")
        for number, text in enumerate(UNSTORABLE):
            inside = page["graph"].replace('"node_type"', f'"config": {{"deep": {text}}}, "node_type"', 1)
            fields = ("config", "variables") if LONG else ("config", "variables")[number % 2 :][:1]
            for field in (*fields, "graph"):
                said = self.refusal_of(client, workflow, page | {field: inside if field == "graph" else text})
                assert any(sentence in said for sentence in expected), (field, text[:20])

    def test_what_is_no_graph_is_told_with_its_place(self, client: Client, workflow: Workflow, page: Data) -> None:
        for text, sentence in NO_GRAPHS:
            assert sentence in self.refusal_of(client, workflow, page | {"graph": text}), text

    def test_many_faults_are_not_all_told(self, client: Client, workflow: Workflow, page: Data) -> None:
        text = json.dumps({"nodes": [{"name": f"node {number}"} for number in range(50)]})
        said = self.refusal_of(client, workflow, page | {"graph": text})
        assert "And 30 more." in said

    def test_more_nodes_than_a_workflow_may_have_are_refused(
        self, client: Client, workflow: Workflow, page: Data, settings: Any
    ) -> None:
        settings.WORKFLOWS = settings.WORKFLOWS | {"MAX_NODES": 3}
        said = self.refusal_of(client, workflow, add(page, "nodes", name="fourth", node_type="tool"))
        assert "/nodes: A workflow has at most 3 nodes, and these are 4" in said

    @pytest.mark.parametrize(("field", "value"), [("name", "\x00"), ("owner", "x"), ("graph", "\x00")])
    def test_garbage_is_never_a_500(
        self, field: str, value: str, client: Client, workflow: Workflow, page: Data
    ) -> None:
        self.refusal_of(client, workflow, page | {field: value})


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
        with mock.patch("workflows.submitted_graph.graph_algorithms.check_acyclic"):
            response = client.post(address(workflow), data)
        assert "Another change came in between" in sentences(response)
        assert edges_of(workflow) == {"fetch → rank", "rank → report"}


def test_the_owner_is_a_plain_select_where_the_project_has_no_admin_of_users(rf: Any, staff: Any) -> None:
    workflows = WorkflowAdmin(Workflow, site)
    request = rf.get("/")
    assert list(workflows.get_autocomplete_fields(request)) == ["owner"]
    other = WorkflowAdmin(Workflow, AdminSite())
    assert list(other.get_autocomplete_fields(request)) == []
