"""Pages with names as long as they may be, at several widths."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from browser.engine import Engine
from browser.layout_checks import WIDER, WIDTHS
from browser.live_site import LiveSite
from browser.pages import RUNS

LONG = "W" * 255  # as wide as a name may be
OF_LONG = (
    f"{RUNS}{{run}}/change/?node={{node}}", f"{RUNS}{{run}}/logs/", f"{RUNS}{{run}}/delete/", RUNS,
    "/admin/executions/nodeexecution/{node}/change/", "/admin/executions/nodeexecution/",
    "/admin/executions/executionlog/",
    "/admin/workflows/workflow/{workflow}/", "/admin/workflows/workflow/{workflow}/change/",
    "/admin/workflows/workflow/{workflow}/history/", "/admin/workflows/workflow/", "/admin/",
)  # fmt: skip

OUTSIDE = """
() => [...document.querySelectorAll(":is(.ledger-table, #result_list) :is(td, th)")]
    .filter(cell => cell.checkVisibility() && getComputedStyle(cell).clipPath === "none")
    .filter(cell => cell.getBoundingClientRect().right > innerWidth)
    .map(cell => `${cell.className} ${cell.textContent.slice(0, 30)}`)
"""

# Texts that are cut off, and nothing says how they go on. A line of a log opens.
CUT_OFF = """
() => [...document.querySelectorAll("#content *")]
    .filter(each => getComputedStyle(each).textOverflow === "ellipsis" && each.scrollWidth > each.clientWidth + 1)
    .filter(each => each.checkVisibility() && getComputedStyle(each).clipPath === "none")
    .filter(each => !each.matches(".log-text") && !each.closest("[title]") && !each.querySelector("[title]"))
    .map(each => `${each.className} is cut off: ${each.textContent.trim().slice(0, 30)}`)
"""


@pytest.fixture
def long_names(site: LiveSite) -> Iterator[dict[str, str]]:
    """The ids of a workflow, a node execution and a failed run whose names and texts are as long as they may be."""

    def call(path: str, body: Any) -> Any:
        status, answer, _headers = site.call("POST", path, body, {})
        assert status < 300, answer
        return answer

    definition = {"name": LONG, "nodes": [{"name": LONG, "node_type": "tool"}]}
    workflow = call("workflows/", definition)["id"]
    body = {"workflow": workflow, "trigger_type": "manual", "start": True, "metadata": {"tags": [LONG]}}
    run = call("executions/", body)["id"]
    node = call(f"executions/{run}/nodes/", {"node": LONG})["id"]
    call(f"node-executions/{node}/start/", {})
    call(f"executions/{run}/logs/", {"level": "error", "message": f"what happened: {LONG}", "node_execution": node})
    call(f"node-executions/{node}/fail/", {"error_message": f"KeyError: {LONG}"})
    call(f"executions/{run}/fail/", {"error_message": f"KeyError: {LONG}"})
    yield {"workflow": workflow, "run": run, "node": node}
    site.call("DELETE", f"executions/{run}/", {"reason": "a test"}, {})
    site.call("DELETE", f"workflows/{workflow}/", None, {})


def test_no_page_and_no_table_is_wider_than_its_window_for_a_long_name(
    long_names: dict[str, str], page: Page, site: LiveSite
) -> None:
    wider: dict[str, list[int]] = {}
    outside: list[str] = []
    for address in OF_LONG:
        site.open(page, address.format_map(long_names))
        for width in (*WIDTHS, 720):  # and what 200 % zoom leaves of the first
            page.set_viewport_size({"width": width, "height": 900})
            if page.evaluate(WIDER) > 0:
                wider.setdefault(address, []).append(width)
            outside += [f"{address} at {width}: {cell}" for cell in (*page.evaluate(OUTSIDE), *page.evaluate(CUT_OFF))]
    assert wider == {}
    assert not outside, "\n".join(outside)


# Messages that begin too far at the right to be read, or lose their spaces.
MESSAGES = """
() => [...document.querySelectorAll(".ledger-log .message, .log-text")]
    .filter(each => each.checkVisibility())
    .filter(each => each.getBoundingClientRect().left > innerWidth - 200
        || !getComputedStyle(each).whiteSpace.startsWith("pre"))
    .map(each => `the message ${each.textContent.slice(0, 30)}`)
"""


def test_a_name_of_one_long_word_makes_nothing_wide(page: Page, site: LiveSite) -> None:
    engine = Engine(site, "W" * 255)
    for verb, what in (("start", "run"), ("start", "Load"), ("log", "price    volume"), ("fail", "Load")):
        engine(verb, what)
    run = f"{RUNS}{engine.run}/change/"
    page.goto(site.url(run))
    workflow = str(page.locator(".ledger-head a").first.get_attribute("href"))
    faults = []
    node = f"/admin/executions/nodeexecution/{engine.ids['Load']}/change/"
    for path in (run, f"{RUNS}{engine.run}/logs/", RUNS, workflow, node):
        site.open(page, path)
        for width in (1440, 640, 375):
            page.set_viewport_size({"width": width, "height": 900})
            faults += [f"{path} at {width}: {page.evaluate(WIDER)} px too wide"] if page.evaluate(WIDER) > 0 else []
            faults += [f"{path} at {width}: {cell}" for cell in (*page.evaluate(OUTSIDE), *page.evaluate(MESSAGES))]
    assert not faults, "\n".join(faults)


# Opens each menu in turn, and tells which of their panels the window cuts off.
MENUS = """
async () => {
    const cut = [];
    for (const menu of document.querySelectorAll("details.filter-menu, header details, #header details")) {
        if (!menu.checkVisibility()) continue;
        menu.open = true;
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        const { left, right } = [...menu.children].at(-1).getBoundingClientRect();
        if (left < 0 || right > document.documentElement.clientWidth) cut.push(menu.textContent.trim().split("\\n")[0]);
        menu.open = false;
    }
    return cut;
}
"""


@pytest.mark.parametrize("path", [RUNS, "/admin/executions/executionlog/"])
def test_no_menu_is_cut_off_by_the_window(path: str, page: Page, site: LiveSite) -> None:
    site.open(page, path)
    cut: list[str] = []
    for width in (*WIDTHS, 1360, 720):
        page.set_viewport_size({"width": width, "height": 900})
        cut += [f"{width} wide: {menu}" for menu in page.evaluate(MENUS)]
    assert not cut, "\n".join(cut)
