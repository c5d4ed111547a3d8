"""An engine that starts finds its workflow by name, or makes it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from workflows.models import Node, Workflow
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db

URL = "/api/v1/workflows/"
ENSURE = f"{URL}ensure/"
DEFINITION: dict[str, Any] = {
    "name": "screen",
    "config": {"b": 1, "api_key": "sesame-open", "a": [True, 1.5]},
    "nodes": [
        {"name": "load", "node_type": "tool", "config": {"z": 1, "y": 2}, "position_x": 3},
        {"name": "rank", "node_type": "aggregator"},
    ],
    "edges": [{"source_node": "load", "target_node": "rank", "condition": {"if": "rows"}, "label": "rows"}],
}


def ensure(client: Any, **changes: Any) -> Any:
    return client.post(ENSURE, DEFINITION | changes, format="json")


def test_an_ensured_workflow_is_created_once_and_then_found_unchanged(api: Any, owner: Any) -> None:
    client = api(owner)
    first, second = ensure(client), ensure(client)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert Workflow.objects.get().version == 1


@pytest.mark.parametrize(
    "change",
    [
        {"description": "of five stocks"},
        {"config": {"b": True}},
        {"nodes": DEFINITION["nodes"][:1], "edges": []},
        {"nodes": [*DEFINITION["nodes"], {"name": "report", "node_type": "tool"}]},
        {"nodes": [DEFINITION["nodes"][0] | {"config": {"z": 2}}, DEFINITION["nodes"][1]]},
        {"edges": []},
        {"edges": [DEFINITION["edges"][0] | {"label": "all"}]},
    ],
    ids=["description", "config", "node-less", "node-more", "node-other", "edge-less", "edge-other"],
)
def test_a_difference_makes_a_new_version_and_no_new_workflow(api: Any, owner: Any, change: dict[str, Any]) -> None:
    client = api(owner)
    ensure(client)
    answer = ensure(client, **change)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert ensure(client, **change).json() == answer.json()
    assert Workflow.objects.count() == 1


def test_what_is_left_out_keeps_its_value(api: Any, owner: Any) -> None:
    client = api(owner)
    made = ensure(client).json()
    assert client.post(ENSURE, {"name": "screen"}, format="json").json() == made


def test_an_ensured_workflow_is_the_callers_own_and_not_deleted(api: Any, owner: Any, stranger: Any) -> None:
    theirs = ensure(api(stranger)).json()["id"]
    deleted = ensure(api(owner)).json()["id"]
    Workflow.objects.get(pk=deleted).soft_delete()
    mine = ensure(api(owner))
    assert mine.status_code == 201
    assert mine.json()["id"] not in {theirs, deleted}


def test_of_several_it_is_the_first_that_was_made(api: Any, owner: Any) -> None:
    first, _second = (WorkflowFactory(owner=owner, name="screen") for _ in range(2))
    assert ensure(api(owner)).json()["id"] == str(first.pk)


def test_a_name_in_another_form_of_unicode_is_the_same_name(api: Any, owner: Any) -> None:
    client = api(owner)
    made = ensure(client, name="\uac00").json()["id"]
    assert [row["id"] for row in client.get(URL, {"name": "\u1100\u1161"}).json()["results"]] == [made]
    assert ensure(client, name=" \u1100\u1161 ").json()["id"] == made


@pytest.mark.parametrize("body", [{}, {"name": 5}, {"name": ""}, {"name": "x" * 256}, [], {"name": "a", "nodes": {}}])
def test_a_body_that_makes_no_sense_is_400(api: Any, owner: Any, body: Any) -> None:
    assert api(owner).post(ENSURE, body, format="json").status_code == 400
    assert not Workflow.objects.exists()


def test_a_cycle_is_refused_and_changes_nothing(api: Any, owner: Any) -> None:
    client = api(owner)
    ensure(client)
    back = {"source_node": "rank", "target_node": "load"}
    answer = ensure(client, edges=[*DEFINITION["edges"], back])
    assert answer.json()["errors"][0]["code"] == "cycle"
    assert Workflow.objects.get().version == 1


@pytest.mark.django_db(transaction=True)
def test_of_8_engines_that_start_at_once_one_makes_it(api: Any, owner: Any) -> None:
    def start(_engine: int) -> int:
        try:
            return int(ensure(api(owner)).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as engines:
        codes = sorted(engines.map(start, range(8)))
    assert codes == [200] * 7 + [201]
    assert (Workflow.objects.count(), Node.objects.count()) == (1, 2)


def test_the_list_finds_workflows_by_name_and_names_a_wrong_parameter(api: Any, owner: Any) -> None:
    for name in ("screen", "screen 2"):
        WorkflowFactory(owner=owner, name=name)
    client = api(owner)
    assert [row["name"] for row in client.get(URL, {"name": "screen"}).json()["results"]] == ["screen"]
    for name, value in (("title", "screen"), ("name", "x" * 256), ("name", "")):
        answer = client.get(URL, {name: value})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, f"?{name}")
