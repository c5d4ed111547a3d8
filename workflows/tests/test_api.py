from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.tests.factories import WorkflowExecutionFactory
from workflows.models import Workflow

URL = "/api/v1/workflows/"
GRAPH: dict[str, Any] = {
    "name": "screen",
    "nodes": [{"name": name, "node_type": "tool"} for name in ("load", "rank", "report")],
    "edges": [{"source_node": "load", "target_node": "rank"}, {"source_node": "rank", "target_node": "report"}],
}


def post(client: Any, body: Any) -> Any:
    return client.post(URL, body, format="json")


def test_a_workflow_is_made_with_its_nodes_and_edges_in_one_call(api: Any, owner: Any) -> None:
    answer = post(api(owner), GRAPH)
    assert answer.status_code == 201
    made = Workflow.objects.get(pk=answer.json()["id"])
    assert made.owner == owner
    assert sorted(made.levels().values()) == [0, 1, 2]
    assert {node["name"] for node in answer.json()["nodes"]} == {"load", "rank", "report"}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"edges": [{"source_node": "load", "target_node": "nothing"}]}, "/edges/0/target_node"),
        ({"edges": [{"source_node": "load", "target_node": "load"}]}, "/edges/0/target_node"),
        ({"edges": [GRAPH["edges"][0], GRAPH["edges"][0] | {"source_handle": ""}]}, "/edges/1/target_node"),
        ({"edges": [*GRAPH["edges"], {"source_node": "report", "target_node": "load"}]}, "/edges"),
        ({"nodes": [*GRAPH["nodes"], GRAPH["nodes"][0]]}, "/nodes/3/name"),
        ({"nodes": [{"name": "load", "node_type": "magic"}]}, "/nodes/0/node_type"),
        (
            {"nodes": [{"name": "load", "node_type": "tool", "retry_config": {"max_retries": "3"}}]},
            "/nodes/0/retry_config",
        ),
        (
            {"nodes": [{"name": "load", "node_type": "tool", "retry_config": {"max_retry": 5}}]},
            "/nodes/0/retry_config/max_retry",
        ),
        ({"name": ""}, "/name"),
        ({"config": []}, "/config"),
        ({"nodes": {}}, "/nodes"),
    ],
    ids=[
        "unknown-end",
        "self-loop",
        "duplicate",
        "cycle",
        "double-name",
        "type",
        "retries",
        "retry-key",
        "no-name",
        "config",
        "nodes",
    ],
)
def test_a_graph_that_is_not_a_dag_is_400_naming_the_place_and_stores_nothing(
    api: Any, owner: Any, change: dict[str, Any], pointer: str
) -> None:
    answer = post(api(owner), GRAPH | change)
    assert answer.status_code == 400
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert not Workflow.objects.exists()


def test_the_sentence_on_a_circle_names_the_nodes_along_it(api: Any, owner: Any) -> None:
    answer = post(api(owner), GRAPH | {"edges": [*GRAPH["edges"], {"source_node": "report", "target_node": "load"}]})
    sentence = answer.json()["errors"][0]["detail"]
    assert all(name in sentence for name in ("load", "rank", "report", " → "))


def test_an_update_replaces_the_graph_and_keeps_the_nodes_that_stay(api: Any, owner: Any) -> None:
    client = api(owner)
    before = post(client, GRAPH).json()
    ids = {node["name"]: node["id"] for node in before["nodes"]}
    nodes = [{"name": "rank", "node_type": "aggregator"}, {"id": ids["report"], "name": "summary", "node_type": "tool"}]
    edges = [{"source_node": "rank", "target_node": ids["report"]}]
    after = client.put(f"{URL}{before['id']}/", {"name": "new", "nodes": nodes, "edges": edges}, format="json").json()
    assert {node["name"]: node["id"] for node in after["nodes"]} == {"rank": ids["rank"], "summary": ids["report"]}
    assert (len(after["edges"]), after["name"], after["version"]) == (1, "new", 2)


def test_what_get_gave_can_be_put_back_unchanged(api: Any, owner: Any) -> None:
    client = api(owner)
    before = post(client, GRAPH).json()
    after = client.put(f"{URL}{before['id']}/", before, format="json").json()
    assert after["nodes"] == before["nodes"]
    assert len(after["edges"]) == len(before["edges"])


def test_two_nodes_may_swap_their_names(api: Any, owner: Any) -> None:
    client = api(owner)
    before = post(client, GRAPH).json()
    a, b, c = before["nodes"]
    nodes = [a | {"name": b["name"]}, b | {"name": a["name"]}, c]
    after = client.patch(f"{URL}{before['id']}/", {"nodes": nodes}, format="json")
    assert after.status_code == 200
    assert {n["id"]: n["name"] for n in after.json()["nodes"]}[a["id"]] == b["name"]


def test_an_update_from_an_older_version_is_refused_and_changes_nothing(api: Any, owner: Any) -> None:
    client = api(owner)
    before = post(client, GRAPH).json()
    url = f"{URL}{before['id']}/"
    assert client.patch(url, {"name": "first", "version": 1}, format="json").status_code == 200
    answer = client.patch(url, {"name": "second", "version": 1, "nodes": [], "edges": []}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "stale_object")
    assert client.get(url).json()["name"] == "first"


def test_a_soft_deleted_workflow_is_gone_from_the_api_and_its_runs_stay(
    api: Any, owner: Any, workflow: Workflow
) -> None:
    run, client = WorkflowExecutionFactory(workflow=workflow), api(owner)
    assert client.delete(f"{URL}{workflow.pk}/").status_code == 204
    assert client.get(f"{URL}{workflow.pk}/").status_code == 404
    assert client.get(URL).json()["results"] == []
    assert client.get(f"/api/v1/executions/{run.pk}/").status_code == 200


def test_a_graph_takes_the_same_number_of_queries_for_any_number_of_nodes(
    api: Any, owner: Any, django_assert_num_queries: Any
) -> None:
    client = api(owner)
    for size in (3, 60):
        nodes = [{"name": str(i), "node_type": "tool"} for i in range(size)]
        edges = [{"source_node": str(i), "target_node": str(i + 1)} for i in range(size - 1)]
        # token, savepoint, three inserts with who makes them, release, three that read it anew
        with django_assert_num_queries(12):
            assert post(client, GRAPH | {"nodes": nodes, "edges": edges}).status_code == 201


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"nodes": [{"config": {}}]}, "/nodes/0/name"),
        ({"nodes": [{"name": "new"}]}, "/nodes/0/node_type"),
        ({"nodes": [{"id": "0190f5e5-0000-7000-8000-000000000000", "node_type": "tool"}]}, "/nodes/0/name"),
        ({"edges": [{"source_node": "load"}]}, "/edges/0/target_node"),
    ],
)
def test_in_a_partial_update_too_what_is_new_is_whole(api: Any, owner: Any, body: dict[str, Any], pointer: str) -> None:
    client = api(owner)
    before = post(client, GRAPH).json()
    answer = client.patch(f"{URL}{before['id']}/", body, format="json")
    assert answer.status_code == 400
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


def test_an_edge_that_stays_the_same_is_the_same_row(api: Any, owner: Any) -> None:
    client = api(owner)
    before = post(client, GRAPH).json()
    edges = [GRAPH["edges"][0] | {"label": "first"}, {"source_node": "load", "target_node": "report"}]
    after = client.patch(f"{URL}{before['id']}/", {"edges": edges}, format="json").json()
    same = [edge for edge in after["edges"] if edge["id"] == before["edges"][0]["id"]]
    assert [edge["label"] for edge in same] == ["first"]
    assert len(after["edges"]) == 2


def test_replacing_nodes_says_when_they_were_changed(api: Any, owner: Any) -> None:
    client = api(owner)
    before = post(client, GRAPH).json()
    made = Workflow.objects.get(pk=before["id"]).nodes.get(name="load")
    nodes = [node | {"timeout_seconds": 9} if node["name"] == "load" else node for node in before["nodes"]]
    client.patch(f"{URL}{before['id']}/", {"nodes": nodes}, format="json")
    assert Workflow.objects.get(pk=before["id"]).nodes.get(name="load").updated_at > made.updated_at


def test_what_a_replacement_leaves_as_it_is_is_not_written(api: Any, owner: Any) -> None:
    client = api(owner)
    before = post(client, GRAPH).json()
    url = f"{URL}{before['id']}/"
    nodes = [node | {"config": {"top": True}} if node["name"] == "rank" else node for node in before["nodes"]]
    client.put(url, before | {"nodes": nodes}, format="json")
    with CaptureQueriesContext(connection) as asked:
        nodes = [node | {"config": {"top": 1}} if node["name"] == "rank" else node for node in before["nodes"]]
        after = client.put(url, before | {"nodes": nodes, "version": 2}, format="json").json()
    written = [query["sql"] for query in asked if query["sql"].startswith(('UPDATE "nodes"', 'UPDATE "edges"'))]
    assert len(written) == 1
    assert not any(node["id"] in written[0] for node in before["nodes"] if node["name"] != "rank")
    assert next(node["config"] for node in after["nodes"] if node["name"] == "rank") == {"top": 1}


def test_a_field_that_is_left_out_keeps_its_value_of_nodes_and_edges_alike(api: Any, owner: Any) -> None:
    client = api(owner)
    edges = [GRAPH["edges"][0] | {"label": "first", "priority": 4}, GRAPH["edges"][1]]
    nodes = [node | {"timeout_seconds": 5} for node in GRAPH["nodes"]]
    before = post(client, GRAPH | {"nodes": nodes, "edges": edges}).json()
    after = client.put(f"{URL}{before['id']}/", GRAPH, format="json").json()
    assert {node["timeout_seconds"] for node in after["nodes"]} == {5}
    assert sorted((edge["label"], edge["priority"]) for edge in after["edges"]) == [("", 0), ("first", 4)]
