"""Table of permissions: the status of each caller at every address of the API.

A new address or method needs a line in TABLE; and one in ROWS where {id} is not the first row of its noun, in BODIES
where it asks for more than {}.
"""

import re
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

API = "/api/v1/"
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

# Each kind of caller is a column, and the answer's status its cell. World.callers says who plays it.
TABLE = """
nobody
|   stranger: token
|   |   stranger: session
|   |   |   stranger: session with permissions
|   |   |   |   owner: bound to another workflow
|   |   |   |   |   teammate: token
|   |   |   |   |   |   teammate: session
|   |   |   |   |   |   |   owner: session
|   |   |   |   |   |   |   |   owner: session with permissions
|   |   |   |   |   |   |   |   |   owner: executions:read
|   |   |   |   |   |   |   |   |   |   owner: executions:report
|   |   |   |   |   |   |   |   |   |   |   owner: executions:control
|   |   |   |   |   |   |   |   |   |   |   |   owner: executions:import
|   |   |   |   |   |   |   |   |   |   |   |   |   owner: workflows:write
|   |   |   |   |   |   |   |   |   |   |   |   |   |   owner: every scope
|   |   |   |   |   |   |   |   |   |   |   |   |   |   |   owner: bound to this workflow
|   |   |   |   |   |   |   |   |   |   |   |   |   |   |   |   superuser
|   |   |   |   |   |   |   |   |   |   |   |   |   |   |   |   |
401 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 GET /
200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 GET schema/
200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 GET docs/
401 404 404 404 404 404 404 404 404 404 404 404 404 404 404 404 404 GET {address}
401 404 404 404 404 404 404 404 404 404 404 404 404 404 404 404 404 POST {address}
401 404 404 404 404 404 404 404 404 404 404 404 404 404 404 404 404 PUT {address}
401 404 404 404 404 404 404 404 404 404 404 404 404 404 404 404 404 PATCH {address}
401 404 404 404 404 404 404 404 404 404 404 404 404 404 404 404 404 DELETE {address}

401 200 200 200 200 200 200 200 200 200 403 403 403 403 200 200 200 GET workflows/
401 201 403 201 403 201 403 403 201 403 403 403 403 201 201 403 201 POST workflows/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET workflows/{id}/
401 404 403 404 404 403 403 403 200 403 403 403 403 200 200 200 200 PUT workflows/{id}/
401 404 403 404 404 403 403 403 200 403 403 403 403 200 200 200 200 PATCH workflows/{id}/
401 404 403 404 404 403 403 403 204 403 403 403 403 204 204 204 204 DELETE workflows/{id}/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET workflows/{id}/graph/
401 404 403 404 404 201 403 403 201 403 403 403 403 201 201 403 201 POST workflows/{id}/duplicate/
401 201 403 201 403 201 403 403 201 403 403 403 403 201 201 403 201 POST workflows/ensure/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET workflows/{id}/expectations/
401 404 403 404 404 403 403 403 200 403 403 403 403 200 200 200 200 PUT workflows/{id}/expectations/

401 200 200 200 200 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/
401 400 403 400 400 403 403 403 201 403 201 403 403 403 201 201 201 POST executions/
401 200 200 200 200 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/stream/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/{id}/
401 404 403 404 404 403 403 403 204 403 403 204 403 403 204 204 204 DELETE executions/{id}/
401 404 403 404 404 403 403 403 200 403 200 403 403 403 200 200 200 POST executions/{id}/start/
401 404 403 404 404 403 403 403 200 403 200 403 403 403 200 200 200 POST executions/{id}/complete/
401 404 403 404 404 403 403 403 200 403 200 403 403 403 200 200 200 POST executions/{id}/fail/
401 404 403 404 404 403 403 403 200 403 200 403 403 403 200 200 200 POST executions/{id}/heartbeat/
401 404 403 404 404 403 403 403 200 403 403 200 403 403 200 200 200 POST executions/{id}/cancel/
401 404 403 404 404 403 403 403 200 403 403 200 403 403 200 200 200 POST executions/{id}/retry/
401 404 403 404 404 403 403 403 201 403 403 201 403 403 201 201 201 POST executions/{id}/rerun/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/{id}/graph/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/{id}/stream/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/{id}/nodes/
401 404 403 404 404 403 403 403 201 403 201 403 403 403 201 201 201 POST executions/{id}/nodes/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/{id}/logs/
401 404 403 404 404 403 403 403 201 403 201 403 403 403 201 201 201 POST executions/{id}/logs/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/{id}/logs/gaps/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/{id}/keep/
401 404 403 404 404 403 403 403 200 403 403 200 403 403 200 200 200 PUT executions/{id}/keep/
401 404 403 404 404 403 403 403 204 403 403 204 403 403 204 204 204 DELETE executions/{id}/keep/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/{id}/notes/
401 404 403 404 404 403 403 403 201 403 403 201 403 403 201 201 201 POST executions/{id}/notes/
401 404 403 404 404 403 403 403 200 403 403 200 403 403 200 200 200 PATCH executions/{id}/notes/{number}/
401 404 403 404 404 403 403 403 204 403 403 204 403 403 204 204 204 DELETE executions/{id}/notes/{number}/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/{id}/history/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/{id}/attempts/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/{id}/attempts/{number}/

401 200 200 200 200 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/activity/
401 200 200 200 200 200 200 200 200 200 403 403 403 403 200 200 200 GET executions/actions/
401 400 403 400 400 400 403 403 202 403 403 202 403 403 202 202 202 POST executions/actions/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 404 200 GET executions/actions/{id}/
401 404 403 404 404 403 403 403 200 403 403 200 403 403 200 404 200 POST executions/actions/{id}/stop/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 404 200 GET executions/actions/{id}/runs/

401 200 200 200 200 200 200 200 200 200 403 403 403 403 200 200 200 GET node-executions/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET node-executions/{id}/
401 404 403 404 404 403 403 403 200 403 200 403 403 403 200 200 200 POST node-executions/{id}/start/
401 404 403 404 404 403 403 403 200 403 200 403 403 403 200 200 200 POST node-executions/{id}/complete/
401 404 403 404 404 403 403 403 200 403 200 403 403 403 200 200 200 POST node-executions/{id}/fail/
401 404 403 404 404 403 403 403 200 403 200 403 403 403 200 200 200 POST node-executions/{id}/heartbeat/
401 404 403 404 404 403 403 403 200 403 200 403 403 403 200 200 200 POST node-executions/{id}/skip/
401 404 403 404 404 403 403 403 200 403 403 200 403 403 200 200 200 POST node-executions/{id}/cancel/
401 404 403 404 404 403 403 403 200 403 403 200 403 403 200 200 200 POST node-executions/{id}/retry/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET node-executions/{id}/attempts/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET node-executions/{id}/attempts/{number}/

401 200 200 200 200 200 200 200 200 200 403 403 403 403 200 200 200 GET logs/
401 200 403 200 200 200 403 403 200 403 200 403 403 403 200 200 200 POST events/
401 200 403 200 200 200 403 403 200 403 200 403 403 403 200 200 200 POST lineage

401 200 200 200 200 200 200 200 200 200 403 403 403 403 200 200 200 GET error-groups/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET error-groups/{id}/
401 404 403 404 404 403 403 403 200 403 403 200 403 403 200 200 200 PATCH error-groups/{id}/
401 404 403 404 404 403 403 403 200 403 403 200 403 403 200 200 200 POST error-groups/{id}/merge/
401 404 403 404 404 403 403 403 201 403 403 201 403 403 201 201 201 POST error-groups/{id}/split/
401 404 403 404 404 403 403 403 200 403 403 200 403 403 200 200 200 POST error-groups/{id}/notes/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET error-groups/{id}/occurrences/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET error-groups/{id}/history/

401 200 200 200 200 200 200 200 200 200 403 403 403 403 200 200 200 GET alerts/rules/
401 400 403 400 400 400 403 403 201 403 403 403 403 201 201 201 400 POST alerts/rules/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 200 200 GET alerts/rules/{id}/
401 404 403 404 404 403 403 403 200 403 403 403 403 200 200 200 200 PATCH alerts/rules/{id}/
401 404 403 404 404 403 403 403 204 403 403 403 403 204 204 204 204 DELETE alerts/rules/{id}/
401 200 200 200 200 200 200 200 200 200 403 403 403 403 200 200 200 GET alerts/channels/
401 201 403 201 403 201 403 403 201 403 403 403 403 201 201 403 201 POST alerts/channels/
401 404 404 404 404 200 200 200 200 200 403 403 403 403 200 404 200 GET alerts/channels/{id}/
401 404 403 404 404 403 403 403 200 403 403 403 403 200 200 404 200 PATCH alerts/channels/{id}/
401 404 403 404 404 403 403 403 204 403 403 403 403 204 204 404 204 DELETE alerts/channels/{id}/
401 200 200 200 200 200 200 200 200 200 403 403 403 403 200 200 200 GET alerts/deliveries/
401 404 403 404 404 403 403 403 200 403 403 403 403 200 200 200 200 POST alerts/deliveries/{id}/send-again/
"""

# Which row {id} stands for: the name of one of the world's. Where nothing is said: of a noun, the first of these.
NOUNS = {
    "workflows": "workflow", "executions": "running", "node-executions": "node running",
    "executions/actions": "action",
    "error-groups": "error group",
    "alerts/rules": "rule", "alerts/channels": "channel", "alerts/deliveries": "delivery",
}  # fmt: skip
ROWS = {
    "DELETE executions/{id}/": "failed",
    "POST executions/{id}/start/": "pending",
    "POST executions/{id}/retry/": "failed",
    "POST node-executions/{id}/start/": "node pending",
    "POST node-executions/{id}/skip/": "node pending",
    "POST node-executions/{id}/retry/": "node failed",
    "GET executions/{id}/attempts/": "retried",
    "DELETE executions/{id}/keep/": "kept",
    "PATCH executions/{id}/notes/{number}/": "noted",
    "DELETE executions/{id}/notes/{number}/": "noted",
    "GET executions/{id}/attempts/{number}/": "retried",
    "GET node-executions/{id}/attempts/": "node retried",
    "GET node-executions/{id}/attempts/{number}/": "node retried",
}
TOKEN_OF_LEASES = "019ab0c4-0000-7000-8000-0000000000ff"  # of the rows that are running
BODIES: dict[str, Any] = {
    "POST workflows/": {"name": "a new one"},
    "POST workflows/ensure/": {"name": "another new one"},
    "PUT workflows/{id}/": {"name": "another name"},
    "PATCH workflows/{id}/": {"description": "another one"},
    "PUT workflows/{id}/expectations/": {"expectations": [{"kind": "ends_within", "seconds": 1800}]},
    "POST executions/": {"workflow": "{workflow}", "trigger_type": "manual"},
    "POST executions/actions/": {"action": "cancel", "filter": {"workflow": "{workflow}"}},
    "POST events/": [],
    "POST lineage": [],
    "DELETE executions/{id}/": {"reason": "a rehearsal"},
    "POST executions/{id}/fail/": {"error_message": "went wrong"},
    "POST executions/{id}/heartbeat/": {"token": TOKEN_OF_LEASES},
    "POST executions/{id}/nodes/": {"node": "unused"},
    "POST executions/{id}/notes/": {"text": "a note"},
    "PATCH executions/{id}/notes/{number}/": {"text": "another note"},
    "POST executions/{id}/logs/": {"level": "info", "message": "a line"},
    "POST node-executions/{id}/fail/": {"error_message": "went wrong"},
    "POST node-executions/{id}/heartbeat/": {"token": TOKEN_OF_LEASES},
    "PATCH error-groups/{id}/": {"state": "acknowledged"},
    "POST error-groups/{id}/merge/": {"groups": ["{other_group}"]},
    "POST error-groups/{id}/split/": {"fingerprints": ["{fingerprint}"]},
    "POST error-groups/{id}/notes/": {"text": "a note"},
    "POST alerts/rules/": {
        "name": "a new one",
        "workflow": "{workflow}",
        "kinds": ["failure"],
        "channels": ["{channel}"],
    },
    "PATCH alerts/rules/{id}/": {"most": 5},
    "POST alerts/channels/": {"name": "a new one", "kind": "slack", "address": "https://hooks.example.com/new"},
    "PATCH alerts/channels/{id}/": {"name": "another name"},
}


# The answer to nothing is 200, and that to facts also where each is refused; test_refusals.py and test_events.py of
# events/ say who may what.
REFUSES_IN_ITS_ANSWER = {"POST events/", "POST lineage"}


def table() -> tuple[list[str], dict[str, list[int]]]:
    """Return the names of the columns, and for each "METHOD address" its cells."""
    lines = [line for line in TABLE.splitlines() if line.strip(" |")]
    columns = [line.lstrip("| ") for line in lines if not line[0].isdigit()]
    rows = [line.split() for line in lines if line[0].isdigit()]
    return columns, {" ".join(row[-2:]): [int(cell) for cell in row[:-2]] for row in rows}


def find_operations() -> Iterator[str]:
    """Yield each "METHOD address" of the API's URLs; HEAD is included in GET."""
    for address, view in views(get_resolver().url_patterns, ""):
        if address.startswith(API[1:]):
            shown = re.sub(r"<(?:uuid:)\w+>", "{id}", address.removeprefix(API[1:]))
            shown = re.sub(r"<\w+:(\w+)>", r"{\1}", shown) or "/"
            methods = getattr(view, "actions", None) or [name for name in METHODS if hasattr(view.cls, name.lower())]
            yield from (
                f"{method.upper()} {shown}" for method in list(methods) if method.upper() not in {"HEAD", "OPTIONS"}
            )


def views(patterns: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from views(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern):
            yield address, pattern.callback
