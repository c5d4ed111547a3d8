"""Malformed bodies at every address: never a 500, and a refusal stores nothing.

In the suite each value meets each kind of field, and another field of that kind than the value before it;
`make proofs` sends every value to every field.
"""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection

from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from pastetrader.tests.proofs import LONG
from workflows.models import Edge, Node, Workflow

from .inputs import BODIES, GRAPHS, PATHS, QUERIES, VALUES
from .sender import Sender

GOOD: dict[str, tuple[str, str, dict[str, Any]]] = {
    "run": ("POST", "executions/", {
        "id": None, "workflow": "{workflow}", "trigger_type": "manual", "context": {}, "metadata": {},
    }),
    "node": ("POST", "executions/{run}/nodes/", {"id": None, "node": "fetch", "execution_order": 0}),
    "line": ("POST", "executions/{run}/logs/", {
        "id": None, "level": "info", "message": "x", "data": None, "timestamp": "2026-11-23T09:00:00Z",
        "node_execution": None,
    }),
    "workflow": ("POST", "workflows/", {
        "id": None, "name": "new", "config": {}, "is_active": True, "version": 1, "nodes": [], "edges": [],
    }),
    "graph": ("PUT", "workflows/{workflow}/", {"name": "momentum", "version": 1, "nodes": []}),
    "change": ("PATCH", "workflows/{workflow}/", {"version": 1}),
    "complete": ("POST", "executions/{run}/complete/", {"output_data": {}}),
    "fail": ("POST", "executions/{run}/fail/", {"error_message": "x"}),
    "node-complete": ("POST", "node-executions/{node}/complete/", {"output_data": {}}),
    "node-fail": ("POST", "node-executions/{node}/fail/", {"error_message": "x", "error_traceback": "y"}),
}  # fmt: skip
BARE = {
    name: ("POST", f"{path}/{verb}/")
    for path, verbs in {
        "executions/{run}": ("start", "cancel", "retry", "rerun"),
        "node-executions/{node}": ("start", "skip", "cancel", "retry"),
    }.items() for verb in verbs for name in [f"{path} {verb}"]
}  # fmt: skip
NODE = {
    "id": None, "name": "n", "node_type": "tool", "position_x": 0, "config": {}, "timeout_seconds": 300,
    "retry_config": {"max_retries": 3, "delay": 1},
}  # fmt: skip
KINDS = {
    "uuid": ("id", "node_execution", "workflow"),
    "document": ("context", "metadata", "data", "config", "output_data", "retry_config", "condition"),
    "list": ("nodes", "edges"),
    "number": ("execution_order", "version", "position_x", "timeout_seconds", "priority"),
    "choice": ("trigger_type", "level", "node_type", "is_active"),
    "time": ("timestamp",),
    "text": (
        "node", "message", "name", "error_message", "error_traceback", "source_node", "target_node", "source_handle",
    ),
}  # fmt: skip
EDGE = {"source_node": "a", "target_node": "b", "source_handle": "", "condition": None, "priority": 0}
MODELS: list[Any] = [Workflow, Node, Edge, WorkflowExecution, NodeExecution, ExecutionLog]
# Asked after each of thousands of requests: of each table how many rows it has, and the sum of their versions.
HOLDS = "SELECT " + ", ".join(
    f"(SELECT (count(*), {'sum(version)' if hasattr(model, 'version') else 0})::text FROM {model._meta.db_table})"
    for model in MODELS
)


class Ledger(Sender):
    """Sender to the addresses of workflows and runs."""

    def holds(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(HOLDS)
            return cursor.fetchone()


@pytest.fixture
def ledger(api: Any, owner: Any, workflow: Workflow) -> Ledger:
    node = NodeExecutionFactory(workflow_execution=WorkflowExecutionFactory(workflow=workflow))
    ids = {"workflow": str(workflow.pk), "run": str(node.workflow_execution_id), "node": str(node.pk)}
    return Ledger(api(owner), ids)


def one_of_each_kind(fields: Sequence[tuple[str, str]], number: int) -> list[tuple[str, str]]:
    """Return, of (place, field), one of each kind, chosen by the number; with `make proofs` all."""
    kinds = [[each for each in fields if each[1] in names] for names in KINDS.values()]
    assert sum(map(len, kinds)) == len(fields), "a field without a kind"
    return list(fields) if LONG else [kind[number % len(kind)] for kind in kinds if kind]


@pytest.mark.slow
@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_is_something_else(ledger: Ledger, what: str) -> None:
    places = [*((method, path) for method, path, _good in GOOD.values()), *BARE.values()]
    for method, path in places if LONG else places[list(BODIES).index(what) % 3 :: 3]:
        ledger.send(method, path, BODIES[what])


@pytest.mark.slow
@pytest.mark.parametrize("what", VALUES)
def test_a_field_that_holds_something_else(ledger: Ledger, what: str) -> None:
    fields = [(place, field) for place, (_method, _path, good) in GOOD.items() for field in good]
    for place, field in one_of_each_kind(fields, list(VALUES).index(what)):
        method, path, good = GOOD[place]
        ledger.send(method, path, _with(good, field, VALUES[what]))
    _send_graphs(ledger, what)


def _send_graphs(ledger: Ledger, what: str) -> None:
    fields = [("nodes", field) for field in NODE] + [("edges", field) for field in EDGE]
    nodes = json.dumps([{"name": name, "node_type": "tool"} for name in "ab"])
    for place, field in one_of_each_kind(fields, list(VALUES).index(what)):
        row = _with(NODE if place == "nodes" else EDGE, field, VALUES[what])
        graph = f'"nodes": [{row}]' if place == "nodes" else f'"nodes": {nodes}, "edges": [{row}]'
        ledger.send("POST", "workflows/", f'{{"name": "new", {graph}}}')


def test_what_is_sent_here_is_accepted_where_it_is_right(ledger: Ledger) -> None:
    """Check that the bodies are accepted as they are: the tests above would pass on any refusal."""
    for method, path, good in list(GOOD.values())[:4]:
        for field, value in good.items():
            if value is not None:
                assert ledger.send(method, path, _with(good, field, json.dumps(value))) == 201, (path, field)


def _with(good: dict[str, Any], field: str, value: str) -> str:
    rest = {name: value for name, value in good.items() if value is not None and name != field}
    return json.dumps(rest)[:-1] + (", " if rest else "") + f"{json.dumps(field)}: {value}}}"


STORED = {"retries-huge", "delay-text"}  # a retry configuration is the engine's own, but for its sign


@pytest.mark.slow
@pytest.mark.parametrize("what", [name for name in GRAPHS if name not in STORED])
def test_a_graph_that_is_none_is_refused_with_its_place(ledger: Ledger, what: str) -> None:
    for method, path in (("POST", "workflows/"), ("POST", "workflows/ensure/"), ("PUT", "workflows/{workflow}/")):
        body = json.dumps({"name": "new", "version": 1, **GRAPHS[what]})
        assert ledger.send(method, path, body) == 400, (method, path)
        errors = ledger.answer.json()["errors"]
        assert {"nodes", "edges"} & {error["pointer"].split("/")[1] for error in errors}, errors


LISTS = "executions/", "node-executions/", "logs/", "workflows/", "executions/{run}/logs/", "executions/{run}/history/"


@pytest.mark.slow
@pytest.mark.parametrize("path", LISTS)
def test_a_question_that_is_none_is_refused_or_answered(ledger: Ledger, path: str) -> None:
    for query in QUERIES.values():
        assert ledger.send("GET", f"{path}?{query}", b"") in {200, 400, 404}, query


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_address_that_is_none_is_not_found(ledger: Ledger, method: str) -> None:
    for path in PATHS.values():
        assert ledger.send(method, path, b"{}") in {200, 301, 400, 403, 404, 405, 406, 414}, path


@pytest.mark.parametrize("name", ["\x1fnew", "new\n", "\u2028new"])
def test_a_control_character_at_the_end_of_a_name_is_refused_not_cut_off(ledger: Ledger, name: str) -> None:
    assert ledger.send("POST", "workflows/", json.dumps({"name": name})) == 400
    assert ledger.answer.json()["errors"][0]["pointer"] == "/name"
    assert ledger.send("POST", "workflows/", json.dumps({"name": " new "})) == 201
