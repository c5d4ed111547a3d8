"""A permission to view shows rows of its own model alone, at every address.

Each caller has one permission, each address is opened by each of them, and each answer is searched for words that stand
in the rows of one model only. What a row says of itself (its ids of others among it) is the row's own.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from executions.tests.api.fixtures import period
from executions.tests.factories import ExecutionLogFactory, WorkflowExecutionFactory
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

# The name of a workflow and what describes it stand with each of its runs, nodes and edges with their workflow.
RUN, NODE, LINE, WORKFLOW, GRAPH = "run", "node execution", "line", "workflow", "graph"
SHOWN = {
    "executions.view_workflowexecution": {RUN, WORKFLOW},
    "executions.view_nodeexecution": {NODE, GRAPH},
    "executions.view_executionlog": {LINE},
    "workflows.view_workflow": {WORKFLOW, GRAPH},
}
OTHERS = (
    "executions.view_deletion",
    "executions.view_savedview",
    "tokens.view_token",
    "auth.view_user",
)
HELD = [*((each,) for each in SHOWN), tuple(SHOWN)[::2], tuple(SHOWN)[1:3], OTHERS]


@dataclass
class Place:
    """`words` are those of the rows of each model; `addresses` show them."""

    words: dict[str, set[str]]
    addresses: list[str]


@pytest.fixture
def place(db: None) -> Place:
    workflow = WorkflowFactory(name="zanzibar", description="spices of all kinds", chain=["fetchnode", "ranknode"])
    workflow.edges.update(condition="edgecondition", label="edgelabel")
    then, run = _run(workflow), _run(workflow)
    fetched = run.node_executions.get(node__name="fetchnode")
    line = ExecutionLogFactory(workflow_execution=run, node_execution=fetched, message="linemessage")
    fetched.fail("nodewentastray", "tracebackofnode")
    fetched.retry()
    run.fail("runwentastray")
    for each in then.node_executions.all():
        each.complete()
    then.complete()
    words = {
        RUN: {"runwentastray", "runtag"},
        NODE: {"nodewentastray", "tracebackofnode"},
        LINE: {"linemessage"},
        WORKFLOW: {"zanzibar", "spices of all kinds"},
        GRAPH: {"fetchnode", "ranknode", "edgecondition", "edgelabel"},
    }
    return Place(words, [*_of_api(workflow, run, fetched), *_of_admin(workflow, run, fetched, line)])


def _run(workflow: Workflow) -> Any:
    run = WorkflowExecutionFactory(workflow=workflow, metadata={"tags": ["runtag"], "allow_concurrent": True})
    run.start()
    for node in workflow.nodes.order_by("name"):
        run.add_node(node).start()
    return run


def _of_api(workflow: Any, run: Any, node: Any) -> list[str]:
    of_run = (
        "",
        "?expand=nodes,logs",
        "graph/",
        "nodes/",
        "logs/",
        "history/",
        "attempts/",
        "stream/?wait=0&from=start",
    )
    alone = ("workflows/", "executions/", "node-executions/", f"logs/{period()}", "executions/stream/?wait=0")
    return [
        *(f"/api/v1/executions/{run.pk}/{end}" for end in of_run),
        *(f"/api/v1/workflows/{workflow.pk}/{end}" for end in ("", "graph/")),
        *(f"/api/v1/node-executions/{node.pk}/{end}" for end in ("", "attempts/", "attempts/1/")),
        *(f"/api/v1/{address}" for address in alone),
    ]


def _of_admin(workflow: Any, run: Any, node: Any, line: Any) -> list[str]:
    lists = ("workflowexecution", "nodeexecution", "executionlog", "deletion")
    rows = {"workflowexecution": run, "nodeexecution": node, "executionlog": line}
    page = reverse("admin:executions_workflowexecution_change", args=[run.pk])
    logs = reverse("admin:executions_logs", args=[run.pk])
    chosen = (f"?node={node.pk}", "?compare=1", "?part=comparison&compare=1", f"?part=panel&node={node.pk}", "?lanes=1")
    of_log = ("", "lines/", "index/", "download/", "download/?format=jsonl", f"?node={node.pk}", "?q=linemessage")
    stream = reverse("admin:executions_stream", args=[run.pk])
    return [
        reverse("admin:index"),
        reverse("admin:workflows_workflow_page", args=[workflow.pk]),
        reverse("admin:workflows_workflow_page", args=[workflow.pk]) + "?view=graph",
        reverse("admin:workflows_workflow_changelist"),
        reverse("admin:workflows_workflow_change", args=[workflow.pk]),
        *(reverse(f"admin:executions_{name}_changelist") for name in lists),
        *(reverse(f"admin:executions_{name}_change", args=[row.pk]) for name, row in rows.items()),
        reverse("admin:executions_workflowexecution_changelist") + "?part=rows",
        *(f"{page}{end}" for end in chosen),
        *(f"{logs}{end}" for end in of_log),
        *(f"{stream}?wait=0&lines={kind}" for kind in ("", "rows")),
    ]


def _caller(*permissions: str) -> Client:
    user = UserFactory(is_staff=True)
    for each in permissions:
        app, codename = each.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return client_of(get_user_model().objects.get(pk=user.pk))


def _said(client: Client, address: str) -> tuple[int, str]:
    response = client.get(address)
    body = b"".join(response.streaming_content) if response.streaming else response.content
    asked = address.partition("?")[2]
    return response.status_code, body.decode().replace(asked, "") if asked else body.decode()


def _told(place: Place, client: Client, address: str) -> set[str]:
    """Return the models whose rows the response shows, beyond what the address names."""
    return _kinds(place, address, _said(client, address)[1])


def _kinds(place: Place, address: str, said: str) -> set[str]:
    return {kind for kind, words in place.words.items() if any(word in said and word not in address for word in words)}


@pytest.mark.slow
def test_each_page_shows_rows_to_a_user_with_all_permissions(place: Place) -> None:
    """Check that something is shown: the other tests would pass on empty responses."""
    client = _caller(*SHOWN, *OTHERS)
    answers = {address: _said(client, address) for address in place.addresses}
    assert [address for address, (status, _said) in answers.items() if status != 200] == []
    assert set().union(*(_kinds(place, address, said) for address, (_status, said) in answers.items())) == set(
        place.words
    )


@pytest.mark.slow
@pytest.mark.parametrize("permissions", HELD, ids=" and ".join)
def test_a_permission_shows_rows_of_its_own_model(place: Place, permissions: tuple[str, ...]) -> None:
    client = _caller(*permissions)
    shown = set().union(*(SHOWN.get(each, set()) for each in permissions))
    found = {address: _told(place, client, address) - shown for address in place.addresses}
    assert {address: told for address, told in found.items() if told} == {}


def test_the_graph_of_a_run_is_empty_for_whoever_may_not_see_its_nodes(place: Place) -> None:
    client = _caller("executions.view_workflowexecution")
    (address,) = [each for each in place.addresses if each.endswith("/graph/") and "/executions/" in each]
    graph = client.get(address).json()
    assert (graph["nodes"], graph["edges"], graph["levels"]) == ([], [], [])


def test_a_list_of_nodes_says_nothing_of_their_run_to_whoever_may_not_see_runs(place: Place) -> None:
    address = reverse("admin:executions_nodeexecution_changelist")
    shown = '<td class="field-trigger" data-label="Trigger">manual</td>'
    for permissions, is_shown in ((("executions.view_nodeexecution",), False), (tuple(SHOWN), True)):
        assert (shown in _said(_caller(*permissions), address)[1]) == is_shown
