"""Hooks that correct generated data where the schema cannot describe it: which rows exist, which names a graph has, how
two values of one request depend on each other. Only data that schemathesis means to be valid is corrected; invalid
data is sent unchanged."""

import zlib
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import schemathesis
from schemathesis.core.parameters import ParameterLocation as In
from uuid_utils.compat import uuid7

from executions.tests.api import recording as there

RUNS = [there.RUN, there.FAILED, there.CANCELLED]
NODES = [there.RUN_LOAD, there.RUN_RANK, there.SPARE_LOAD]
SCRATCH = "019ab0c4-0000-7000-8000-000000000003"  # a workflow that write requests may change; reads use the other
CALLS = count()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    if case.meta is None:
        return
    if case.headers and not case.meta.is_negative_at(In.HEADER):
        _headers(case)
    if case.path_parameters and not case.meta.is_negative_at(In.PATH):
        _path(case)
    if case.path.endswith("/stream/") and not case.meta.is_negative_at(In.QUERY):
        case.query = {**(case.query or {}), "wait": 0}  # otherwise the stream of an active run never ends
    if case.query and not case.meta.is_negative_at(In.QUERY):
        _query(case)
    if isinstance(case.body, dict | list) and not case.meta.is_negative_at(In.BODY):
        _body(case)


def _headers(case: Any) -> None:
    """Let most writes match any version and use a new idempotency key: otherwise nearly all of them are refused."""
    case.headers.pop("Last-Event-ID", None)  # made by the API alone
    chance = next(CALLS) % 4
    if chance and "If-Match" in case.headers:
        case.headers["If-Match"] = "*"
    if chance and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = f"{case.headers['Idempotency-Key'][:200]}{uuid7()}"


def _path(case: Any) -> None:
    """Replace half of the ids by those of existing rows; deletions are left to the stateful phase."""
    ids = case.path_parameters
    writes_workflow = case.method in {"PUT", "PATCH", "DELETE"} and case.path.startswith("/api/v1/workflows/")
    if writes_workflow and ids.get("id") == there.WORKFLOW:
        ids["id"] = SCRATCH
    for name, value in ids.items():
        known = RUNS if "/executions/" in case.path else NODES if "/node-executions/" in case.path else [SCRATCH]
        chance = zlib.crc32(str(value).encode())
        if name != "number" and chance % 2 and case.method != "DELETE":
            ids[name] = known[chance // 2 % len(known)]


def _query(case: Any) -> None:
    for name in ("cursor", "last_event_id"):  # made by the API alone
        case.query.pop(name, None)
    if case.path == "/api/v1/logs/" and {"after", "before"} <= case.query.keys():
        after = datetime.fromisoformat(str(case.query["after"]))
        case.query["after"] = min(after, datetime(9999, 12, 1, tzinfo=after.tzinfo)).isoformat()
        case.query["before"] = (datetime.fromisoformat(case.query["after"]) + timedelta(days=20)).isoformat()
        return
    for lower in [name for name in case.query if name.endswith(("after", "_min"))]:
        _sort_pair(case.query, (lower, lower.replace("after", "before").replace("_min", "_max")))


def _sort_pair(query: dict[str, Any], names: tuple[str, str]) -> None:
    """Exchange the bounds of a value if the upper one is below the lower one."""
    if not {*names} <= query.keys():
        return
    parse = float if names[0].startswith("duration") else datetime.fromisoformat
    low, high = sorted((query[name] for name in names), key=lambda value: parse(str(value)))
    query.update(zip(names, (low, high), strict=True))


def _body(case: Any) -> None:
    for body in case.body if isinstance(case.body, list) else [case.body]:
        if isinstance(body, dict) and body.get("at") is not None:
            body["at"] = datetime.now(UTC).isoformat()  # neither in the future nor before the start of the row
        match case.operation.definition.raw["operationId"]:
            case "createExecution":
                body["workflow"] = there.WORKFLOW
            case "createExecutionNode":
                body["node"] = "rank" if len(body["node"]) % 2 else "load"
            case "createExecutionLogs":
                body["node_execution"] = None
                body.update({"id": str(uuid7())} if "id" in body else {})  # the time in the id has to be recent
            case "createWorkflow" | "replaceWorkflow" | "updateWorkflow" | "ensureWorkflow":
                _graph(body)


def _graph(body: dict[str, Any]) -> None:
    """Give the nodes different names, and connect them by a chain of edges."""
    nodes, edges = body.get("nodes", []), body.get("edges", [])
    for index, node in enumerate(nodes):
        node["name"] = f"{index}{node['name']}"[:255]
        node.pop("id", None)
    del edges[max(len(nodes) - 1, 0) :]
    for index, edge in enumerate(edges):
        edge |= {"source_node": nodes[index]["name"], "target_node": nodes[index + 1]["name"]}
