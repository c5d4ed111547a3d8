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

HUGE = 10**400
VALUES = {
    "null": "null", "true": "true", "zero": "0", "minus-zero": "-0.0", "minus": "-1", "int32": str(2**31),
    "int64": str(2**63), "400-digits": str(HUGE), "5000-digits": "9" * 5000, "5000-negative": "-" + "9" * 5000,
    "float": "1e308", "infinite": "1e400", "minus-infinite": "-1e400", "tiny": "1e-400", "nan": "NaN",
    "infinity": "-Infinity", "empty-text": '""', "space": '" "', "long-text": json.dumps("x" * 100_000),
    "nul": '"\\u0000"', "surrogate": '"\\ud800"', "swapped-surrogates": '"\\udc00\\ud800"', "emoji": '"\\ud83c\\udf89"',
    "number-in-text": '"1e400"', "digits-in-text": json.dumps("9" * 5000), "odd-digits": '"\u00b2"',
    "uuid-4": '"11111111-1111-4111-8111-111111111111"', "uuid-late": '"ffffffff-ffff-7fff-bfff-ffffffffffff"',
    "uuid-0": '"00000000-0000-7000-8000-000000000000"', "year-0": '"0000-01-01T00:00:00Z"',
    "year-1": '"0001-01-01T00:00:00+14:00"', "year-1969": '"1969-12-31T23:59:59Z"',
    "year-9999": '"9999-12-31T23:59:59-14:00"', "year-10000": '"10000-01-01T00:00:00Z"', "date": '"2026-11-23"',
    "empty-list": "[]", "nulls": "[null]", "lists": "[[[]]]", "empty-object": "{}", "objects": '[{"a": {}}]',
    "nul-key": '{"\\u0000": 1}', "surrogate-key": '{"\\udfff": 1}', "empty-key": '{"": 1}', "proto": '{"__proto__": 1}',
    "slash-key": '{"a/b~c": "\\u0000"}', "twice": '{"a": 1, "a": 2}', "deep": "[" * 65 + "]" * 65,
    "very-deep": '{"a":' * 5000 + "1" + "}" * 5000, "abyss": "[" * 100_000, "long-key": json.dumps({"k" * 100_000: 1}),
    "secret-number": '{"password": 1e308, "x": 1e308}', "secret-digits": json.dumps({"token": HUGE, "x": HUGE}),
}  # fmt: skip
WHOLE = {name: VALUES[name] for name in (
    "null", "true", "5000-digits", "infinite", "nan", "nul", "surrogate", "empty-text", "empty-list", "nulls",
    "objects", "nul-key", "empty-key", "twice", "deep", "very-deep", "abyss",
)} | {
    "nothing": "", "spaces": "  ", "cut": '{"a": ', "two": "{}{}", "single-quotes": "{'a': 1}",
    "comment": "{} // x", "comma": '{"a": 1,}', "bom": "\ufeff{}", "plain": "hello", "html": "<p>", "form": "a=1&b=2",
}  # fmt: skip

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
        "executions/{run}": ("start", "cancel", "retry"),
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


class Ledger:
    """A client that sends bodies and checks that no row has changed."""

    def __init__(self, client: Any, ids: dict[str, str]) -> None:
        self.client, self.ids, self.held = client, ids, self.holds()

    def holds(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(HOLDS)
            return cursor.fetchone()

    def send(self, method: str, path: str, text: str) -> int:
        for name, value in self.ids.items():
            path, text = path.replace("{" + name + "}", value), text.replace("{" + name + "}", value)
        answer = self.client.generic(method, f"/api/v1/{path}", text.encode(), content_type="application/json")
        said = (method, path, text[:200], answer.content[:500])
        assert answer.status_code < 500, said
        before, self.held = self.held, self.holds()
        if answer.status_code >= 400:
            assert self.held == before, said
            assert answer["Content-Type"] == "application/problem+json", said
        return int(answer.status_code)


@pytest.fixture
def ledger(api: Any, owner: Any, workflow: Workflow) -> Ledger:
    node = NodeExecutionFactory(workflow_execution=WorkflowExecutionFactory(workflow=workflow))
    client = api(owner)
    client.raise_request_exception = False
    ids = {"workflow": str(workflow.pk), "run": str(node.workflow_execution_id), "node": str(node.pk)}
    return Ledger(client, ids)


def one_of_each_kind(fields: Sequence[tuple[str, str]], number: int) -> list[tuple[str, str]]:
    """Return, of (place, field), one of each kind, chosen by the number; with `make proofs` all."""
    kinds = [[each for each in fields if each[1] in names] for names in KINDS.values()]
    assert sum(map(len, kinds)) == len(fields), "a field without a kind"
    return list(fields) if LONG else [kind[number % len(kind)] for kind in kinds if kind]


@pytest.mark.parametrize("what", WHOLE)
def test_a_body_that_is_something_else(ledger: Ledger, what: str) -> None:
    places = [*((method, path) for method, path, _good in GOOD.values()), *BARE.values()]
    for method, path in places if LONG else places[list(WHOLE).index(what) % 3 :: 3]:
        ledger.send(method, path, WHOLE[what])


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
