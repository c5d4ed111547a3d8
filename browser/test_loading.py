"""Work of the browser's thread while a page is opened and changed (benches/pages.py measures how long it takes)."""

import json
import re
from collections import Counter

import pytest
from playwright.sync_api import Page, expect

from browser.live_site import LiveSite
from browser.pages import PAGES, RUN, RUNS
from browser.test_run_tasks import fan_out

# Changes a text of the list, as its clocks do each second, and waits until that is painted.
CHANGE = """() => {
    document.querySelector(SHOWS).textContent += "!";
    return new Promise(done => requestAnimationFrame(() => setTimeout(done)));
}"""
FEW = 50  # elements
ALL_SHOWN = "() => document.readyState === 'complete' && !document.adoptedStyleSheets.length"  # see in_turn.js
NOTE = """document.addEventListener("DOMContentLoaded", () => {
    const part = document.querySelector("#history");
    window.first = part && getComputedStyle(part).display;
    window.boxes = [...document.querySelectorAll(".graph .box")].filter(box => box.checkVisibility()).length;
});"""
LINKED = re.compile(r'(?:href|src)="([^"]+\.(?:css|js))"')


def largest_style_pass(page: Page, script: str) -> int:
    """Return of how many elements the styles were computed at once while a script ran."""
    browser = page.context.browser
    assert browser
    browser.start_tracing(page=page, categories=["devtools.timeline"])
    page.evaluate(script)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    return max(event["args"].get("elementCount", 0) for event in events if event["name"] == "UpdateLayoutTree")


@pytest.mark.parametrize(
    ("path", "changed"), [(RUNS, "#result_list tbody th a"), (RUNS, ".action-counter"), (RUN, ".graph a.box text")]
)
def test_a_change_computes_the_styles_of_few_elements(page: Page, site: LiveSite, path: str, changed: str) -> None:
    page.goto(site.url(path))
    page.wait_for_function(ALL_SHOWN)
    assert largest_style_pass(page, CHANGE.replace("SHOWS", repr(changed))) < FEW


def test_no_page_links_a_style_sheet_or_a_script_twice(page: Page, site: LiveSite) -> None:
    twice = {}
    for view in PAGES:
        linked = LINKED.findall(page.request.get(site.url(view.path)).text())
        if repeated := [each for each, times in Counter(linked).items() if times > 1]:
            twice[view.name] = repeated
    assert not twice


@pytest.mark.parametrize("path", [RUNS, RUN, "/admin/workflows/workflow/"])
def test_a_page_without_fields_loads_no_scripts_of_fields(page: Page, site: LiveSite, path: str) -> None:
    assert "/vendor/" not in page.request.get(site.url(path)).text()


@pytest.mark.parametrize(("path", "first"), [(RUN, "none"), (f"{RUN}#history", "block")])
def test_the_parts_of_a_run_take_turns_unless_one_is_linked(page: Page, site: LiveSite, path: str, first: str) -> None:
    page.add_init_script(NOTE)
    page.goto(site.url(path))
    assert page.evaluate("window.first") == first
    page.wait_for_function(ALL_SHOWN)
    hidden = "parts => parts.filter(part => !part.checkVisibility()).length"
    assert page.locator(".in-turn").evaluate_all(hidden) == 0


def test_the_boxes_of_a_large_graph_take_turns(page: Page, site: LiveSite) -> None:
    page.add_init_script(NOTE)
    page.goto(fan_out(site, 60) + "?open=all")
    assert 0 < page.evaluate("window.boxes") < 61
    page.wait_for_function(ALL_SHOWN)
    expect(page.locator(".graph .box:visible")).to_have_count(61)
