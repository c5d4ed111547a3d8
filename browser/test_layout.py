"""Pages with names and texts as long as they may be, at several widths."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from browser.layout import WIDER, WIDTHS
from browser.live_site import Stage
from browser.pages import RUNS

LONG = "W" * 255  # as long as a name may be, as wide as a letter may be, and no space in it
NAMED_LONG = f"{RUNS}{{run}}/change/?node={{node}}"  # a name of a node: the table of the history scrolls by itself
ADDRESSES = (
    NAMED_LONG, f"{RUNS}{{short}}/change/", f"{RUNS}{{run}}/logs/", f"{RUNS}{{run}}/delete/", RUNS,
    "/admin/executions/nodeexecution/{node}/change/", "/admin/executions/nodeexecution/",
    "/admin/executions/executionlog/",
    "/admin/workflows/workflow/{workflow}/", "/admin/workflows/workflow/{workflow}/change/",
    "/admin/workflows/workflow/{workflow}/history/", "/admin/workflows/workflow/", "/admin/",
)  # fmt: skip


OUTSIDE = """
() => [...document.querySelectorAll(".ledger-history td, .ledger-nodes td, #result_list td")]
    .filter(cell => cell.checkVisibility() && cell.getBoundingClientRect().right > innerWidth)
    .map(cell => `${cell.className} ${cell.textContent.slice(0, 30)}`)
"""

# Messages that begin too far at the right to be read, or lose their spaces.
MESSAGES = """
() => [...document.querySelectorAll(".ledger-log .message, .log-text")]
    .filter(each => each.checkVisibility())
    .filter(each => each.getBoundingClientRect().left > innerWidth - 200
        || !getComputedStyle(each).whiteSpace.startsWith("pre"))
    .map(each => `the message ${each.textContent.slice(0, 30)}`)
"""


@pytest.fixture
def long_names(site: Stage) -> Iterator[dict[str, str]]:
    """Yield the ids of a workflow, a node execution and a failed run with the longest names and texts, and of a run
    `short` of the same workflow whose node has a short name."""

    def call(path: str, body: Any) -> Any:
        status, made, _headers = site.call("POST", path, body, {})
        assert status < 300, made
        return made

    definition = {"name": LONG, "nodes": [{"name": name, "node_type": "tool"} for name in (LONG, "Load")]}
    workflow = call("workflows/", definition)["id"]
    body = {"workflow": workflow, "trigger_type": "manual", "start": True, "metadata": {"tags": [LONG]}}
    ids = {"workflow": workflow}
    for key, name in (("short", "Load"), ("run", LONG)):
        run = ids[key] = call("executions/", body)["id"]
        node = ids["node"] = call(f"executions/{run}/nodes/", {"node": name})["id"]
        call(f"node-executions/{node}/start/", {})
        line = {"level": "error", "message": f"price    volume {LONG}", "node_execution": node}
        call(f"executions/{run}/logs/", line)
        call(f"node-executions/{node}/fail/", {"error_message": f"KeyError: {LONG}"})
        call(f"executions/{run}/fail/", {"error_message": f"KeyError: {LONG}"})
    yield ids
    for key in ("short", "run"):
        site.call("DELETE", f"executions/{ids[key]}/", {"reason": "a test"}, {})
    site.call("DELETE", f"workflows/{workflow}/", None, {})


def test_no_page_is_wider_than_its_window_for_a_long_name(long_names: dict[str, str], page: Page, site: Stage) -> None:
    faults = []
    for address in ADDRESSES:
        page.goto(site.address + address.format_map(long_names))
        for width in (*WIDTHS, 720):  # the last is what 200 % zoom leaves of the first
            page.set_viewport_size({"width": width, "height": 900})
            found = wide_parts(page, WIDER, *(() if address == NAMED_LONG else (OUTSIDE, MESSAGES)))
            faults += [f"{address} at {width}: {fault}" for fault in found]
    assert not faults, "\n".join(faults)


def wide_parts(page: Page, *scripts: str) -> list[str]:
    """Return what the scripts find: parts of the page, or a number of pixels above 0."""
    found = [page.evaluate(script) for script in scripts]
    return [str(part) for each in found for part in (each if isinstance(each, list) else [each] if each > 0 else [])]
