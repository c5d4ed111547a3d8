"""Rows of others are answered like rows that do not exist, whatever the request."""

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest

from executions.api import filters
from ledgerkit.db.models import uuid7
from ledgerkit.rest.filters import JSONKeyFilter, TextFilter, UUIDFilter, UUIDListFilter

from .fixtures import World, digest, period
from .matrix import API, METHODS, table

pytestmark = pytest.mark.django_db

COLUMNS, CELLS = table()
STRANGERS = ["stranger: token", "stranger: session with permissions", "owner: bound to another workflow"]
ADDRESSES = sorted({row.split()[1] for row in CELLS if "{id}" in row})
CONDITIONS = {"If-None-Match": "*", "If-Match": '"1"', "Idempotency-Key": "the-owners"}
LISTS = {"workflows/": "", "executions/": "", "node-executions/": "", "logs/": period()}
WHOSE = ("", "other ", "stranger's ")
SEEN = {
    "stranger": ["stranger's "],
    "newcomer": [],
    "elsewhere": ["other "],
    "here": [""],
    "owner": ["", "other "],
    "teammate": list(WHOSE),
    "superuser": list(WHOSE),
}


@pytest.fixture
def cast(world: World) -> dict[str, Any]:
    callers = world.callers
    return {
        **callers["stranger: token"],
        "elsewhere": callers["owner: bound to another workflow"]["token"],
        "here": callers["owner: bound to this workflow"]["token"],
        "owner": callers["owner: every scope"]["token"],
        "teammate": callers["teammate: token"]["token"],
        "superuser": callers["superuser"]["session"],
    }


OWN = {"Content-Length", "X-Request-ID"}  # of one request


def response_without_id(answer: Any, asked: str) -> tuple[int, Any, str]:
    """Return a response without the id that the request named."""
    headers = {name: value for name, value in answer.headers.items() if name not in OWN}
    return answer.status_code, headers, answer.content.decode().replace(asked, "{id}")


@pytest.mark.slow
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_row_of_another_is_answered_as_one_that_does_not_exist(world: World, address: str) -> None:
    for column in STRANGERS:
        client = next(iter(world.callers[column].values()))
        for method in METHODS:
            row, nobodys = f"{method} {address}", str(uuid7())
            id = str(world.row(row).pk)
            with world.anew():
                answer = world.ask(client, row, **CONDITIONS)
                there = response_without_id(answer, id)
            with world.anew():
                assert there == response_without_id(world.ask(client, row, nobodys, **CONDITIONS), nobodys), (
                    column,
                    row,
                )
            assert answer.status_code in {404, 405}, (column, row)
            assert not world.told(answer, id), (column, row)


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in CELLS if row.startswith("GET")])
def test_head_is_answered_as_get_is(world: World, row: str) -> None:
    for column, status in zip(COLUMNS, CELLS[row], strict=True):
        for client in world.callers[column].values():
            answer = client.head(world.url(row))
            assert (answer.status_code, answer.content) == (status, b""), column


@pytest.mark.parametrize("url", LISTS)
def test_a_list_holds_the_callers_rows_and_no_others(world: World, cast: Any, url: str) -> None:
    kind = {"workflows/": "workflow", "executions/": "running", "node-executions/": "node", "logs/": "line"}[url]
    for name, client in cast.items():
        found = {row["id"] for row in client.get(API + url + LISTS[url]).json()["results"]}
        rows = {whose: str(world.rows[f"{whose}{kind}"].pk) for whose in WHOSE}
        assert [whose for whose in WHOSE if rows[whose] in found] == SEEN[name], name


FOREIGN = {
    "executions/": {
        "workflow": "workflow", "tag": "tag", "correlation_id": "corr", "triggered_by": "triggered_by",
        "schedule_id": "schedule_id", "priority": "priority", "parent": "workflow", "rerun_of": "workflow",
        "q": "went astray !", "error_group": "error group", "workflow_name": "zanzibar", "owner": "the-owner",
        "failed_node": "name of the failed node", "error": "went astray !",
    },
    "node-executions/": {
        "node": "node definition", "workflow": "workflow", "q": "went wrong", "error_group": "error group",
    },
    "logs/": {"q": "astray warning !"},
}  # fmt: skip
OFFERED = {
    "executions/": filters.WorkflowExecutionFilters,
    "node-executions/": filters.NodeExecutionFilters,
    "logs/": filters.LogFilters,
}


@pytest.mark.slow
@pytest.mark.parametrize("url", FOREIGN)
def test_no_filter_finds_rows_of_another_by_what_they_hold(world: World, cast: Any, url: str) -> None:
    by_content = {
        name
        for name, one in OFFERED[url].base_filters.items()
        if isinstance(one, UUIDFilter | UUIDListFilter | JSONKeyFilter | TextFilter)
    }
    assert by_content == set(FOREIGN[url]), "Say in FOREIGN what a stranger would look for by the new filter."
    for name, value in FOREIGN[url].items():
        asked = {name: _held(world, value)} | (dict(parse_qsl(period()[1:])) if url == "logs/" else {})
        found = {caller: client.get(API + url, asked).json()["results"] for caller, client in cast.items()}
        seen = {"owner", "here", "teammate", "superuser"} | ({"elsewhere"} if name == "owner" else set())
        assert {caller for caller, rows in found.items() if rows} == seen, name


def _held(world: World, value: str) -> str:
    """Return the id of the owner's row that the text names, or the text itself."""
    ids = {name: world.rows[name].pk for name in ("workflow", "error group")}
    ids["node definition"] = world.rows["node"].node_id
    ids["name of the failed node"] = world.rows["node failed"].node_name
    return str(ids.get(value, value))


@pytest.mark.parametrize("url", LISTS)
def test_the_cursor_of_another_shows_the_callers_own_rows(world: World, cast: Any, url: str) -> None:
    query = LISTS[url] + ("&" if LISTS[url] else "?")
    link = cast["superuser"].get(f"{API}{url}{query}page_size=1").json()["next"]
    for name in ("stranger", "newcomer", "elsewhere"):
        own = {row["id"] for row in cast[name].get(API + url + LISTS[url]).json()["results"]}
        assert {row["id"] for row in cast[name].get(link).json()["results"]} <= own, name


def test_a_node_of_another_run_names_no_line_of_ones_own(world: World, cast: Any) -> None:
    url = f"{API}executions/{world.rows["stranger's running"].pk}/logs/"
    for name in ("node", "other node"):
        assert cast["stranger"].get(url, {"node": world.rows[name].pk}).json()["results"] == []


def test_expanding_shows_staff_only_what_they_may_view(world: World) -> None:
    """Nodes and lines have view permissions of their own."""
    url = f"{API}executions/{world.rows['running'].pk}/?expand=nodes,logs"
    with world.anew():
        user = world.users["teammate"]
        gone = ("view_nodeexecution", "view_executionlog")
        user.user_permissions.remove(*user.user_permissions.filter(codename__in=gone))
        answer = world.callers["teammate: session"]["session"].get(url).json()
    assert (answer["nodes"], answer["logs"]) == ([], [])


# Bodies in which a stranger names what is the owner's: where it is sent, and what "{id}" is in it.
NAMED = {
    "a workflow": ("executions/", {"workflow": "{id}", "trigger_type": "manual"}, "workflow"),
    "a node": ("executions/{run}/nodes/", {"node": "{id}"}, "node definition"),
    "a node's name": ("executions/{run}/nodes/", {"node": "unused"}, "workflow"),
    "a node execution": (
        "executions/{run}/logs/",
        {"level": "info", "message": "", "node_execution": "{id}"},
        "node",
    ),
    "node executions of many lines": (
        "executions/{run}/logs/",
        [{"level": "info", "message": "", "node_execution": "{id}"}] * 2,
        "node",
    ),
    "a node of an edge": (
        "workflows/{workflow}/",
        {"edges": [{"source_node": "stranger's rank", "target_node": "{id}"}]},
        "node definition",
    ),
}


@pytest.mark.parametrize("what", NAMED)
def test_what_is_anothers_is_not_found_in_a_body(world: World, cast: Any, what: str) -> None:
    url, body, named = NAMED[what]
    id, nobodys = str(_id(world, named)), str(uuid7())
    answer = _send(world, cast["stranger"], url, body, id)
    assert answer.status_code == 400
    assert response_without_id(answer, id) == response_without_id(
        _send(world, cast["stranger"], url, body, nobodys), nobodys
    )
    assert not world.told(answer, f"{id} unused rank")
    assert digest() == world.at_first


def test_a_parent_is_kept_as_it_was_said_and_never_looked_up(world: World, cast: Any) -> None:
    parent = str(world.rows["running"].pk)
    workflow = str(world.rows["stranger's workflow"].pk)
    body = {"workflow": workflow, "trigger_type": "manual", "context": {"parent_execution_id": "{id}"}}
    with world.anew():
        answer = _send(world, cast["stranger"], "executions/", body, parent)
        assert answer.status_code == 201
        assert not world.told(answer, f'{parent} "version" zanzibar')  # the name of their own workflow
        assert cast["owner"].get(f"{API}executions/", {"parent": parent}).json()["results"] == []


# Ids that the owner's rows have already.
TAKEN = {
    "run": ("executions/", {"workflow": "{workflow}", "trigger_type": "manual", "id": "{id}"}, "running"),
    "node": ("executions/{run}/nodes/", {"node": "stranger's rank", "id": "{id}"}, "node"),
    "line": ("executions/{run}/logs/", {"level": "info", "message": "", "id": "{id}"}, "line"),
    "lines": ("executions/{run}/logs/", [{"level": "info", "message": "", "id": "{id}"}], "line"),
    "workflow": ("workflows/", {"name": "x", "id": "{id}"}, "workflow"),
    "node of a workflow": (
        "workflows/",
        {"name": "x", "nodes": [{"name": "x", "node_type": "tool", "id": "{id}"}]},
        "node definition",
    ),
}


@pytest.mark.parametrize("what", TAKEN)
def test_an_id_that_is_anothers_is_refused_in_the_same_words_as_any_conflict(
    world: World, cast: Any, what: str
) -> None:
    """The response cannot hide that an id is taken, but it hides the owner and the content."""
    url, body, taken = TAKEN[what]
    id = str(_id(world, taken))
    answer = _send(world, cast["stranger"], url, body, id)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer.json()["detail"].startswith("This conflicts with a row that exists or refers to one that is gone.")
    assert not world.told(answer, "")
    assert digest() == world.at_first


def _send(world: World, client: Any, url: str, body: Any, id: str) -> Any:
    """Changes last for the test: `world.anew()` is the test's own savepoint."""
    words = {
        "{id}": id,
        "{run}": world.rows["stranger's running"].pk,
        "{workflow}": world.rows["stranger's workflow"].pk,
    }
    text = json.dumps(body)
    for word, value in words.items():
        url, text = url.replace(word, str(value)), text.replace(word, str(value))
    send = client.patch if url.count("/") == 2 and url.startswith("workflows") else client.post
    return send(API + url, text, content_type="application/json")


def _id(world: World, name: str) -> Any:
    return world.rows["node"].node_id if name == "node definition" else world.rows[name].pk


def test_the_key_of_another_caller_replays_nothing(world: World, cast: Any) -> None:
    row, headers = "POST executions/{id}/start/", {"Idempotency-Key": "the-owners"}
    with world.anew():
        assert world.ask(cast["owner"], row, **headers).status_code == 200
        for name, status in (("stranger", 404), ("elsewhere", 404), ("here", 409)):
            answer = world.ask(cast[name], row, **headers)
            assert (answer.status_code, "Idempotent-Replayed" in answer) == (status, False), name
        assert world.ask(cast["owner"], row, **headers)["Idempotent-Replayed"] == "true"
