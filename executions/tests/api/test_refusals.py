"""A refusal says what was expected and never what was sent: it may be a secret in the wrong place. The name of a field
that no call takes is its place, and stands in the pointer alone."""

import json
from typing import Any

import pytest
from rest_framework.serializers import BaseSerializer, ListSerializer

import executions.api.serializers as ours
import workflows.api.serializers as theirs
from executions.api import filters

from .fixtures import World
from .matrix import table

pytestmark = pytest.mark.django_db

ROWS = [row for row in table()[1] if "{address}" not in row]
WRITES = [row for row in ROWS if row.startswith(("POST", "PUT", "PATCH"))]
CANARY = "canary-in-the-wrong-place"
OPTIONAL = ["id", "node_execution", "timestamp", "execution_order", "input_data", "context", "metadata", "start"]
SEVERAL = ["workflows/", "executions/", "executions/{id}/", "executions/{id}/logs/", "node-executions/", "logs/"]
WRONG = [CANARY, [CANARY], {CANARY: 1}, [[CANARY]], {"level": CANARY}, f"{CANARY}\x00", 10**400]


def names() -> set[str]:
    """Return the name of every field of every serializer."""
    found: set[str] = set()
    for kind in [*vars(ours).values(), *vars(theirs).values()]:
        if isinstance(kind, type) and issubclass(kind, BaseSerializer) and not issubclass(kind, ListSerializer):
            found |= set(getattr(kind, "_declared_fields", {})) | set(
                getattr(getattr(kind, "Meta", None), "fields", ())
            )
    return found


def parameters() -> set[str]:
    offered = (filters.WorkflowExecutionFilters, filters.NodeExecutionFilters)
    lists = (*offered, filters.LogFilters, filters.LogsOfExecutionFilters)
    return {"fields", "ordering", "expand", "cursor", "page_size"}.union(*(one.base_filters for one in lists))


def count_refusal(world: World, method: str, url: str, body: Any = None) -> int:
    """Return how often the request was refused; the client raises on a 500."""
    with world.anew():
        client = world.callers["owner: every scope"]["token"]
        text = "" if body is None else json.dumps(body)
        answer = client.generic(method, url, text, content_type="application/json")
    said = answer.content.decode().replace(f"{CANARY}=", "").replace(f'/{CANARY}","code"', '","code"')
    assert answer.status_code < 300 or CANARY not in said, (method, url, body, said)
    return int(answer.status_code == 400)


@pytest.mark.slow
@pytest.mark.parametrize("row", WRITES)
def test_no_field_of_a_body_is_repeated(world: World, row: str) -> None:
    method, url = row.split(maxsplit=1)[0], world.url(row)
    body = json.loads(world.body(row))
    right = (body or [{}])[0] if isinstance(body, list) else body

    def is_refused(wrong: Any) -> int:
        return count_refusal(world, method, url, [wrong] if isinstance(body, list) else wrong)

    count = sum(count_refusal(world, method, url, wrong) for wrong in WRONG)
    for wrong in (dict.fromkeys(names(), CANARY), {name: [CANARY] for name in names()}):
        count += is_refused(wrong) + is_refused(wrong | right)
        count += is_refused(right | {"nodes": [wrong], "edges": [wrong]})
    for name in names() & {*right, *OPTIONAL}:
        count += is_refused(right | {name: CANARY})
    assert count > 2


@pytest.mark.slow
@pytest.mark.parametrize("row", [f"GET {address}" for address in SEVERAL])
def test_no_parameter_of_an_address_is_repeated(world: World, row: str) -> None:
    url = world.url(row)
    for name in parameters():
        count_refusal(world, "GET", f"{url}{'&' if '?' in url else '?'}{name}={CANARY}")
