"""Invalid values of every parameter of every address of the admin: never an error of the server.

Which parameters there are is read from the code: those of the lists from their filters, those of forms from their
fields, and every other from where the code asks an address for it. A new one is red until it stands in OTHERS.
In the suite each parameter gets a third of the plain values and its neighbours the others; `make proofs` tries all.
"""

import ast
import inspect
import json
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory

from executions.admin import pagination
from executions.admin.filters import validation
from executions.admin.filters.text_filters import OwnerFilter
from executions.models import BulkAction, Deletion, SavedView, WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.admin.list_filters import TextFilter
from pastetrader.tests.proofs import times

ROOT = Path(__file__).parents[3]
OURS = ("alerts", "executions", "workflows", "tokens")
OF_LISTS = sorted(validation.OTHERS | {"q", "part", "export", "_changelist_filters"})
WHOLE = ("workflowexecution", "workflow")  # a list by keyset and one by pages: what all lists share is tried on these
# Of all other pages, by the address; {run} and so on are ids.
RUN = "/admin/executions/workflowexecution/{run}"
OTHERS: dict[str, tuple[str, ...]] = {
    "/admin/": ("view", "q"),
    "/admin/executions/workflowexecution/find/": ("q", "format"),
    "/admin/executions/nodeexecution/names/": ("q",),
    f"{RUN}/change/": ("node", "nodes", "lanes", "open", "compare", "part", "_changelist_filters"),
    f"{RUN}/rerun/": ("from_node",),
    f"{RUN}/stream/": ("last_event_id", "wait", "lines"),
    f"{RUN}/logs/": (
        "level",
        "node",
        "q",
        "context",
        "time",
        "wrap",
        "start",
        "at",
        "after",
        "before",
        "fragment",
        "attempt",
    ),
    f"{RUN}/logs/lines/": (
        "mark",
        "until",
        "after",
        "places",
        "base",
        "skip",
        "whole",
        "level",
        "node",
        "start",
        "q",
        "attempt",
    ),
    f"{RUN}/logs/index/": ("at", "level", "node", "q", "start", "attempt"),
    f"{RUN}/logs/download/": ("format", "level", "node", "q", "start", "attempt"),
    "/admin/workflows/workflow/{workflow}/": ("view", "older", "newer"),
    "/admin/executions/nodeexecution/{node}/change/": ("_changelist_filters",),
    "/admin/executions/executionlog/{line}/change/": ("_changelist_filters",),
    "/admin/executions/workflowexecution/views/{view}/": ("view",),
    "/admin/executions/workflowexecution/bulk/cancel/": ("status", "q", "view"),
    "/admin/executions/bulkaction/{action}/change/": ("state", "after", "_changelist_filters"),
}
ID, ZERO, NONE = "01900000-0000-7000-8000-000000000000", "00000000-0000-0000-0000-000000000000", "f" * 32
TIMES = (
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z", "2026-01-01",
)  # fmt: skip
PLAIN = [*(quote(value) for value in ("\0", "x" * 3_000, "-1", "9" * 30, "²", ID)), "%ED%A0%80"]
PART = times(3, 1)  # a parameter gets one value of so many
PLACES = [*(f"{time}~{ID}" for time in TIMES), TIMES[0], f"{TIMES[3]}~{NONE}", "~"]
SPECIAL = {
    "ended_between": [f"{a}~{b}" for a in TIMES for b in (a, TIMES[-1])] + ["~", "a~b~c"],
    "newest_runs": [f"{ID}~{number}" for number in ("", "0", "-1", "²", "9" * 30, "1~1")] + [f"{ZERO}~200", "~"],
    "places": ["1-0", "0-", "-", "0-1,", "0-99999999999", "²-³", "0-0,0-0", ",".join(["0-0"] * 200)],
    "last_event_id": [urlsafe_b64encode(json.dumps(each).encode()).decode() for each in (
        [], {}, ["a"] * 5, ["1:1:", "1:1:", "", [], 0], ["", "", "", ["1", TIMES[0], ID], 0], ["9" * 19 + ":1:"] * 5,
    )] + ["[" * 9_000],
    "from": [*TIMES, "2026-02-30T00:00", "0001-01-01T00:00", "9999-12-31T23:59"], "to": [*TIMES, "9999-12-31T23:59:59"],
    "duration_min": ["1h", "999999h 99999999m 999999999s", "1e9", "²", "1.5s"], "duration_max": ["0", "-1s", " "],
    "older": PLACES, "newer": PLACES,
}  # fmt: skip


def ours() -> list[Any]:
    return [each for model, each in admin.site._registry.items() if model._meta.app_label in OURS]


def address_of(model_admin: Any, end: str = "") -> str:
    return f"/admin/{model_admin.opts.app_label}/{model_admin.opts.model_name}/{end}"


def answers(client: Client, address: str, name: str, plain: list[str], more: str = "") -> Iterator[tuple[str, int]]:
    for value in [*plain, *map(quote, SPECIAL.get(name, ()))]:
        response = client.get(f"{address}?{name}={value}{more}")
        if response.streaming:
            response.close()
        yield f"{name}={value[:80]}", response.status_code


def wrong(client: Client, address: str, names: Any, more: str = "") -> list[tuple[str, int]]:
    asked = [
        each
        for number, name in enumerate(names)
        for each in answers(client, address, name, PLAIN[number % PART :: PART], "" if name == "wait" else more)
    ]
    return [(query, status) for query, status in asked if status not in {200, 302, 400, 404}]


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("model_admin", ours(), ids=lambda each: each.opts.model_name)
def test_lists(client: Client, model_admin: Any) -> None:
    filters = {name for each in model_admin.list_filter for name in each.parameters()}
    shared = OF_LISTS if model_admin.opts.model_name in WHOLE else ("older", "newer", "q")
    assert wrong(client, address_of(model_admin), sorted(filters | set(shared))) == []


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("model_admin", ours(), ids=lambda each: each.opts.model_name)
def test_a_wrong_value_of_a_filter_says_so(client: Client, model_admin: Any) -> None:
    for each in model_admin.list_filter:
        # Any text may be searched for.
        if issubclass(each, TextFilter) and each is not OwnerFilter:
            continue
        for name in set(each.parameters()) - {pagination.FIND}:
            answer = client.get(f"{address_of(model_admin)}?{name}=bogus")
            assert answer.status_code in {400, 302}, name
            assert answer.status_code == 400 or "e=1" in answer["Location"], name


@pytest.mark.django_db
@pytest.mark.parametrize("model_admin", ours(), ids=lambda each: each.opts.model_name)
def test_forms_that_an_address_fills_in(client: Client, staff: Any, model_admin: Any) -> None:
    request = RequestFactory().get("/")
    request.user = staff
    if model_admin.has_add_permission(request):
        names = [*model_admin.get_form(request).base_fields, "_popup", "_to_field", "_changelist_filters"]
        for value in ("%00", "%ED%A0%80", "-1", "9" * 30, ID):
            query = "&".join(f"{name}={value}" for name in names)
            assert client.get(f"{address_of(model_admin, 'add/')}?{query}").status_code in {200, 302, 400}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", OTHERS)
def test_other_pages(client: Client, staff: Any, address: str) -> None:
    run = in_state(WorkflowExecutionFactory(), "running")
    node = in_state(NodeExecutionFactory(workflow_execution=run), "failed")
    line = ExecutionLogFactory(workflow_execution=run, node_execution=node)
    view = SavedView.objects.create(owner=staff, name="mine", filters={"status": "failed"})
    action = BulkAction.objects.create(verb="cancel", number=1, through="admin")
    action.runs.create(workflow_execution_id=run.pk)
    ids = {
        "action": action.pk,
        "run": run.pk,
        "node": node.pk,
        "line": line.pk,
        "view": view.pk,
        "workflow": run.workflow_id,
    }
    more = "&wait=0" if address.endswith("/stream/") else ""
    assert wrong(client, address.format(**ids), OTHERS[address], more) == []


# --- what the code asks an address for ---------------------------------------
def modules() -> list[Any]:
    folders = [ROOT / "executions" / "admin", ROOT / "workflows" / "admin", ROOT / "tokens"]
    names = [path.relative_to(ROOT) for folder in folders for path in folder.rglob("*.py") if "tests" not in path.parts]
    found = [sys.modules.get(".".join(name.with_suffix("").parts)) for name in names]
    return [module for module in found if module is not None]


def is_query(node: ast.AST) -> bool:
    """`request.GET`, or what a function takes as `query`."""
    return getattr(node, "attr", "") == "GET" or getattr(node, "id", "") == "query"


def asked_names(node: ast.AST) -> list[ast.AST]:
    match node:
        case ast.Call(func=ast.Attribute(attr="get" | "getlist", value=value), args=[name, *_]) if is_query(value):
            return [name]
        case ast.Call(args=[value, name, *_]) if is_query(value):
            return [name]
        case ast.Subscript(value=value, slice=name) if is_query(value):
            return [name]
        case ast.Compare(left=name, ops=[ast.In() | ast.NotIn()], comparators=[value]) if is_query(value):
            return [name]
    return []


def named_in(module: Any) -> set[str]:
    tree = ast.parse(inspect.getsource(module))
    names = [name for node in ast.walk(tree) for name in asked_names(node)]
    values = [
        vars(module).get(name.id) if isinstance(name, ast.Name) else getattr(name, "value", None) for name in names
    ]
    return {value for value in values if isinstance(value, str)}


def test_every_parameter_that_the_code_asks_for_is_tried_here() -> None:
    filters = {name for model_admin in ours() for each in model_admin.list_filter for name in each.parameters()}
    tried = {*OF_LISTS, *filters, *(name for names in OTHERS.values() for name in names)}
    found = {name: module.__name__ for module in modules() for name in named_in(module)}
    assert {name: module for name, module in found.items() if name not in tried} == {}
    assert {"last_event_id", "places", "compare", "older", "view", "format", "level"} <= found.keys()


def test_every_page_of_ours_is_tried_here() -> None:
    """An address of the admin that is neither a list, a form nor one of OTHERS is a new page."""
    own = {"views", "bulk", "find", "names", "logs", "stream", "monitor", "<uuid:pk>/"}
    routes = [str(each.pattern) for model_admin in ours() for each in model_admin.get_urls()]
    stock = {
        "",
        "add/",
        "<path:object_id>/history/",
        "<path:object_id>/delete/",
        "<path:object_id>/change/",
        "<path:object_id>/",
    }
    pages = {route for route in routes if route not in stock}
    assert {route for route in pages if not any(name in route for name in own)} == set()
    assert {Deletion, WorkflowExecution} <= set(admin.site._registry)
