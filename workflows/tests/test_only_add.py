"""Several programs that each know a part of a workflow add it, and none undoes what another has added."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from executions.tests.cast import permissions
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.db.models import uuid7
from ledgerkit.tests.clients import client_of
from workflows import graph_merge
from workflows.conf import workflows_settings
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory
from workflows.tests.test_ensure import DEFINITION, ENSURE, URL

pytestmark = pytest.mark.django_db


def chain(*names: str, **more: Any) -> dict[str, Any]:
    """Return the body that adds a node after the other."""
    return {
        "name": "screen", "only_add": True,
        "nodes": [{"name": name, "node_type": "tool"} for name in dict.fromkeys(names)],
        "edges": [{"source_node": a, "target_node": b} for a, b in pairwise(names)], **more,
    }  # fmt: skip


def add(client: Any, body: dict[str, Any]) -> Any:
    return client.post(ENSURE, body, format="json")


def edges_of(answer: Any) -> list[str]:
    row = answer.json()
    names = {node["id"]: node["name"] for node in row["nodes"]}
    return sorted(f"{names[edge['source_node']]}>{names[edge['target_node']]}" for edge in row["edges"])


def test_what_is_missing_is_added(api: Any, owner: Any) -> None:
    client = api(owner)
    made = add(client, chain("load", "rank"))
    grown = add(client, chain("load", "check", "rank"))
    assert (made.status_code, grown.status_code, grown.json()["version"]) == (201, 200, 2)
    assert edges_of(grown) == ["check>rank", "load>check", "load>rank"]
    assert add(client, chain("check", "rank")).json() == grown.json()


def test_nothing_is_changed_or_removed(api: Any, owner: Any) -> None:
    client = api(owner)
    before = client.post(ENSURE, DEFINITION, format="json").json()
    other = chain("load", "rank", "report", description="of five", config={"c": 1}, is_active=False, version=7)
    other["nodes"][0] |= {"node_type": "agent", "config": {"z": 2}, "timeout_seconds": 5}
    other["edges"][0] |= {"label": "all", "priority": 3}
    after = add(client, other).json()
    assert (after["version"], len(after["nodes"]), len(after["edges"])) == (2, 3, 2)
    assert [node for node in after["nodes"] if node["name"] != "report"] == before["nodes"]
    assert before["edges"][0] in after["edges"]
    for name in ("description", "config", "is_active", "created_at"):
        assert after[name] == before[name]


def test_a_new_workflow_gets_all_that_the_body_says(api: Any, owner: Any) -> None:
    made = add(api(owner), DEFINITION | {"only_add": True, "description": "of five stocks"}).json()
    assert (made["description"], made["edges"][0]["label"], made["config"]["b"]) == ("of five stocks", "rows", 1)


@pytest.mark.parametrize(
    ("names", "edges"),
    [
        (("load", "rank", "load"), ["load>rank"]),
        (("load", "load"), []),
        (("rank", "load"), ["rank>load"]),
        (("load", "check", "rank", "load", "report", "load", "check"), ["check>rank", "load>check", "load>report"]),
    ],
    ids=["back", "itself", "alone", "several times"],
)
def test_an_edge_that_would_close_a_cycle_is_left_out(api: Any, owner: Any, names: Any, edges: list[str]) -> None:
    client = api(owner)
    made = add(client, chain(*names))
    assert (made.status_code, edges_of(made)) == (201, edges)
    assert add(client, chain(*names)).json() == made.json()


def test_an_edge_against_those_that_are_there_is_left_out(api: Any, owner: Any) -> None:
    client = api(owner)
    add(client, chain("load", "check", "rank"))
    assert edges_of(add(client, chain("rank", "load", "report"))) == ["check>rank", "load>check", "load>report"]


def test_more_edges_than_are_chosen_from_are_refused_with_their_cycle(
    api: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_merge, "MOST_CHOSEN", 2)
    client = api(owner)
    assert add(client, chain("a", "b", "c", "d")).status_code == 201
    refused = add(client, chain("d", "e", "f", "a"))
    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["code"]) == (400, "cycle")
    assert error["detail"].endswith(
        "Of more than 2 new edges none is left out: send fewer at once, or none that would close a cycle."
    )
    assert len(edges_of(add(client, chain("d", "e", "a")))) == 4


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"only_add": 1}, "/only_add"),
        ({"only_add": None}, "/only_add"),
        ({"only_adds": True}, "/only_adds"),
        ({"nodes": [{"name": "new"}]}, "/nodes/0/node_type"),
        ({"nodes": [{"id": str(uuid7()), "name": "load", "node_type": "tool"}]}, "/nodes/0/name"),
        ({"edges": [{"source_node": "load", "target_node": "nowhere"}]}, "/edges/0/target_node"),
    ],
    ids=["a number", "null", "unknown", "without a type", "another id", "no such node"],
)
def test_what_makes_no_sense_is_refused(api: Any, owner: Any, change: dict[str, Any], pointer: str) -> None:
    client = api(owner)
    add(client, chain("load", "rank"))
    answer = add(client, chain("load", "rank", "report") | change)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)
    assert Workflow.objects.get().nodes.count() == 2


def test_false_is_as_without(api: Any, owner: Any) -> None:
    client = api(owner)
    add(client, chain("load", "rank"))
    assert edges_of(add(client, chain("rank", only_add=False))) == []


@pytest.mark.parametrize(
    ("most", "body"), [("MAX_NODES", ("a", "c")), ("MAX_EDGES", ("b", "a"))], ids=["nodes", "edges"]
)
def test_the_whole_graph_stays_within_its_limits(
    api: Any, owner: Any, monkeypatch: pytest.MonkeyPatch, most: str, body: Any
) -> None:
    client = api(owner)
    add(client, chain("a", "b", "d") if most == "MAX_NODES" else {**chain("a", "b", "d"), "edges": []})
    monkeypatch.setattr(workflows_settings, most, 3 if most == "MAX_NODES" else 0)
    answer = add(client, chain(*body))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "too_many")
    assert add(client, {"name": "screen", "only_add": True}).status_code == 200


def test_the_whole_graph_stays_within_the_size_of_a_body(api: Any, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = api(owner)
    large = [{"name": name, "node_type": "tool", "config": {"x": "y" * 1_500}} for name in ("a", "b", "c")]
    monkeypatch.setattr(settings, "DATA_UPLOAD_MAX_MEMORY_SIZE", 4_000)
    assert add(client, chain() | {"nodes": large[:2]}).status_code == 201
    refused = add(client, chain() | {"nodes": large[1:]})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/nodes/1/config")
    assert add(client, chain() | {"nodes": large[:2]}).status_code == 200


def test_what_has_no_room_is_the_first_row_that_is_added(api: Any, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client, large = api(owner), {"x": "y" * 1_500}
    there = chain("a", "b")
    there["nodes"][0]["config"] = there["edges"][0]["condition"] = large
    monkeypatch.setattr(settings, "DATA_UPLOAD_MAX_MEMORY_SIZE", 4_000)
    assert add(client, there).status_code == 201
    more = chain("b", "c")
    more["nodes"][1]["config"] = large
    refused = add(client, more)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/nodes/1/config")


def test_a_node_that_was_retired_comes_back_by_its_id(api: Any, owner: Any) -> None:
    client, workflow = api(owner), WorkflowFactory(owner=owner, chain=["load", "rank"])
    WorkflowExecutionFactory(workflow=workflow)
    there = client.get(f"{URL}{workflow.pk}/").json()["nodes"]
    client.patch(f"{URL}{workflow.pk}/", {"nodes": there[1:], "edges": []}, format="json")
    retired = there[0] | {"name": "load anew"}
    back = add(client, {"name": workflow.name, "only_add": True, "nodes": [retired]}).json()
    assert {node["id"]: node["name"] for node in back["nodes"]} == {
        there[0]["id"]: "load anew", there[1]["id"]: "rank",
    }  # fmt: skip


class TestPermissions:
    def test_a_token_needs_its_scope(self, api: Any, owner: Any) -> None:
        answer = add(api(owner, scopes=["executions:report"]), chain("load"))
        assert (answer.status_code, Workflow.objects.count()) == (403, 0)

    def test_a_token_that_is_bound_adds_to_its_workflows_and_makes_none(self, api: Any, owner: Any) -> None:
        workflow = WorkflowFactory(owner=owner, name="screen", chain=["load"])
        assert edges_of(add(api(owner, bound_to=[workflow.pk]), chain("load", "rank"))) == ["load>rank"]
        refused = add(api(owner, bound_to=[WorkflowFactory(owner=owner).pk]), chain("load", "check"))
        assert (refused.status_code, workflow.nodes.count(), Workflow.objects.count()) == (403, 2, 2)

    def test_a_user_without_the_permission_to_change_adds_nothing(self, owner: Any) -> None:
        WorkflowFactory(owner=owner, name="screen", chain=["load"])
        owner.user_permissions.set(permissions("add_workflow"))
        answer = client_of(owner).post(ENSURE, chain("load", "rank"), content_type="application/json")
        assert (answer.status_code, "workflows.change_workflow" in answer.json()["detail"]) == (403, True)

    def test_the_workflow_of_somebody_else_is_not_touched(self, api: Any, owner: Any, stranger: Any) -> None:
        theirs = WorkflowFactory(owner=stranger, name="screen", chain=["load"])
        assert add(api(owner), chain("load", "rank")).status_code == 201
        assert theirs.nodes.count() == 1


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    @staticmethod
    def at_once(*calls: Any) -> list[Any]:
        def do(call: Any) -> Any:
            try:
                return call()
            finally:
                connection.close()

        with ThreadPoolExecutor(len(calls)) as threads:
            return [*threads.map(do, calls)]

    def test_what_8_programs_add_is_all_there(self, api: Any, owner: Any) -> None:
        clients = [api(owner) for _ in range(8)]
        bodies = [[chain("load", f"{number} {part}", "rank") for part in range(5)] for number in range(8)]

        def work(number: int) -> set[int]:
            return {add(clients[number], body).status_code for body in bodies[number]}

        codes = self.at_once(*(lambda number=number: work(number) for number in range(8)))
        assert set().union(*codes) == {200, 201}
        (workflow,) = Workflow.objects.all()
        assert (workflow.nodes.count(), workflow.edges.count()) == (42, 80)

    def test_it_does_not_conflict_with_somebody_who_changes_the_workflow(self, api: Any, owner: Any) -> None:
        row = add(api(owner), chain("load")).json()
        clients = [api(owner) for _ in range(2)]

        def change() -> set[int]:
            address = f"{URL}{row['id']}/"
            return {clients[0].patch(address, {"description": str(n)}, format="json").status_code for n in range(20)}

        def grow() -> set[int]:
            return {add(clients[1], chain("load", f"node {n}")).status_code for n in range(20)}

        _changed, added = self.at_once(change, grow)
        assert added == {200}
        assert Workflow.objects.get().edges.count() == 20
