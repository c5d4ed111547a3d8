"""Every page, at three widths: each link, button and field takes its own click, nothing moves while a page is loaded,
and no page is wider than its window."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, StorageState, expect

from browser.engine import Engine
from browser.live_site import Stage
from browser.pages import PAGES, RUNS, View
from pastetrader.tests import proofs

WIDTHS = (1440, 1024, 390)
LOADED = WIDTHS if proofs.LONG else (1440, 390)  # a page that is 1440 wide is narrowed instead of being loaded anew
VIEWS = [view for view in PAGES if view.name != "api"]  # Swagger UI's layout is not ours
MOST_SHIFT = 0.05

# Runs before the page's own scripts.
WATCH_SHIFTS = """
window.shifts = 0;
new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""
# What covers what: for each element that takes clicks, the points at which another one would take them.
PROBE = """
() => {
    const inset = 2, faults = [];
    const takes = "a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button]";
    const words = element => (element.textContent || element.value || "").trim().slice(0, 30);
    const named = element =>
        `${element.tagName.toLowerCase()} ${element.id && "#" + element.id} ${element.className} "${words(element)}"`;
    const clipped = element => {
        for (let at = element.parentElement; at; at = at.parentElement)
            if (getComputedStyle(at).clipPath !== "none" || at.matches(".visually-hidden")) return true;
        return getComputedStyle(element).clipPath !== "none";
    };
    for (const element of document.querySelectorAll(takes)) {
        if (!element.checkVisibility({visibilityProperty: true, opacityProperty: true}) || element.disabled) continue;
        if (clipped(element) || element.matches(".skip-to-content-link")) continue;
        element.scrollIntoView({block: "center", inline: "center"});
        const boxes = [...element.getClientRects()].filter(box => Math.min(box.width, box.height) > 2 * inset);
        const label = element.labels && element.labels[0];
        for (const box of boxes.slice(0, 3)) {
            const points = [
                [(box.left + box.right) / 2, (box.top + box.bottom) / 2],
                [box.left + inset, box.top + inset], [box.right - inset, box.top + inset],
                [box.left + inset, box.bottom - inset], [box.right - inset, box.bottom - inset],
            ];
            for (const [x, y] of points) {
                if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) continue;
                const hit = document.elementFromPoint(x, y);
                if (!hit || hit === element || element.contains(hit) || hit.contains(element)) continue;
                if (label && (label === hit || label.contains(hit))) continue;
                faults.push(`${named(element)} is covered by ${named(hit)} at ${Math.round(x)}, ${Math.round(y)}`);
            }
        }
    }
    return faults;
}
"""
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


LONG = "Lang" * 63 + "xyz"  # as long as a name may be, and no space in it
OF_LONG = (
    f"{RUNS}{{run}}/change/?node={{node}}", f"{RUNS}{{run}}/logs/", f"{RUNS}{{run}}/delete/", RUNS,
    "/admin/executions/nodeexecution/{node}/change/", "/admin/executions/nodeexecution/",
    "/admin/executions/executionlog/",
    "/admin/workflows/workflow/{workflow}/", "/admin/workflows/workflow/{workflow}/change/",
    "/admin/workflows/workflow/{workflow}/history/", "/admin/workflows/workflow/", "/admin/",
)  # fmt: skip


@pytest.fixture
def long_names(site: Stage) -> Iterator[dict[str, str]]:
    """The ids of a workflow, a node execution and a failed run whose names and texts are as long as they may be."""

    def call(path: str, body: Any) -> Any:
        status, told, _headers = site.call("POST", path, body, {})
        assert status < 300, told
        return told

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


def test_no_page_is_wider_than_its_window_for_a_long_name(long_names: dict[str, str], page: Page, site: Stage) -> None:
    wider: dict[str, list[int]] = {}
    for address in OF_LONG:
        page.goto(site.address + address.format_map(long_names))
        for width in (*WIDTHS, 720):  # the last is what 200 % zoom leaves of the first
            page.set_viewport_size({"width": width, "height": 900})
            if page.evaluate(WIDER) > 0:
                wider.setdefault(address, []).append(width)
    assert wider == {}


@pytest.mark.parametrize("width", LOADED)
def test_every_page_takes_its_clicks_and_keeps_its_place(
    width: int, opened: Callable[..., BrowserContext], session: StorageState, site: Stage
) -> None:
    size: Any = {"width": width, "height": 900}
    faults: list[str] = []
    for signed_in in (True, False):
        context = opened(viewport=size, storage_state=session if signed_in else None)
        context.add_init_script(WATCH_SHIFTS)
        page = context.new_page()
        for view in VIEWS:
            if view.signed_in is signed_in:
                faults += [f"{view.name}: {fault}" for fault in looked_at(page, view, site)]
    assert not faults, "\n".join(faults)


def shift_of(page: Page, view: View, site: Stage) -> float:
    site.show(page, view)
    expect(page.locator(view.shows).first).to_be_visible()
    return float(page.evaluate("window.shifts"))


def looked_at(page: Page, view: View, site: Stage) -> list[str]:
    shift = shift_of(page, view, site)
    for _again in range(2):
        if shift > MOST_SHIFT:  # a busy machine paints half a page; what a script moves, it moves each time
            shift = min(shift, shift_of(page, view, site))
    faults = [f"it shifts by {shift:.3f}"] if shift > MOST_SHIFT else []
    for width in widths_of(page):
        page.set_viewport_size({"width": width, "height": 900})
        if (wider := page.evaluate(WIDER)) > 0:
            faults.append(f"it is {wider} px wider than its window of {width}")
        faults += page.evaluate(PROBE)
    return faults


def widths_of(page: Page) -> list[int]:
    """Return the widths at which a page is looked at. The one that it was loaded at is last, and the next page's."""
    size = page.viewport_size
    assert size is not None
    return [*(set(WIDTHS) - set(LOADED) if size["width"] == max(WIDTHS) else []), size["width"]]


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


def test_a_name_of_one_long_word_makes_nothing_wide(page: Page, site: Stage) -> None:
    engine = Engine(site, "W" * 255)
    for verb, what in (("start", "run"), ("start", "Load"), ("log", "price    volume"), ("fail", "Load")):
        engine(verb, what)
    run = f"{RUNS}{engine.run}/change/"
    page.goto(site.url(run))
    workflow = str(page.locator(".ledger-head a").first.get_attribute("href"))
    faults = []
    node = f"/admin/executions/nodeexecution/{engine.ids['Load']}/change/"
    for path in (run, f"{RUNS}{engine.run}/logs/", RUNS, workflow, node):
        page.goto(site.url(path))
        for width in (1440, 720, 390):
            page.set_viewport_size({"width": width, "height": 900})
            faults += [f"{path} at {width}: {page.evaluate(WIDER)} px too wide"] if page.evaluate(WIDER) > 0 else []
            faults += [f"{path} at {width}: {cell}" for cell in (*page.evaluate(OUTSIDE), *page.evaluate(MESSAGES))]
    assert not faults, "\n".join(faults)
