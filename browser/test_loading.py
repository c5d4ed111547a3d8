"""Work of the browser's thread while a page is opened and changed (benches/pages.py measures how long it takes)."""

import json
import re
from collections import Counter

import pytest
from playwright.sync_api import Page, expect

from browser.live_site import ALL_SHOWN, LiveSite
from browser.pages import PAGES, RUN, RUNS
from browser.test_run_tasks import fan_out

# Changes a text of the list, as its clocks do each second, and waits until that is painted.
CHANGE = """() => {
    document.querySelector(SHOWS).textContent += "!";
    return new Promise(done => requestAnimationFrame(() => setTimeout(done)));
}"""
FEW = 50  # elements
# Notes what is displayed when the page has been read, before the first turn.
NOTE = """document.addEventListener("readystatechange", () => {
    const part = document.querySelector("#history");
    window.first = part && getComputedStyle(part).display;
    window.boxes = [...document.querySelectorAll(".graph .box")].filter(box => box.checkVisibility()).length;
}, { once: true });"""
LINKED = re.compile(r'(?:href|src)="([^"]+\.(?:css|js))"')


def largest_style_pass(page: Page, script: str) -> int:
    """Return of how many elements the styles were computed at once while a script ran."""
    browser = page.context.browser
    assert browser
    browser.start_tracing(page=page, categories=["devtools.timeline"])
    try:
        page.evaluate(script)
    finally:
        trace = browser.stop_tracing()
    events = json.loads(trace)["traceEvents"]
    return max(event["args"].get("elementCount", 0) for event in events if event["name"] == "UpdateLayoutTree")


def scripts_of_django(page: Page, site: LiveSite, path: str) -> set[str]:
    linked = LINKED.findall(page.request.get(site.url(path)).text())
    return {re.sub(r"\.[0-9a-f]{12}(?=\.)", "", each).rpartition("/")[2] for each in linked if "/admin/js/" in each}


@pytest.mark.parametrize(
    ("path", "changed"), [(RUNS, "#result_list tbody th a"), (RUNS, ".action-counter"), (RUN, ".graph a.box text")]
)
def test_a_change_computes_the_styles_of_few_elements(page: Page, site: LiveSite, path: str, changed: str) -> None:
    site.open(page, path)
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
    assert scripts_of_django(page, site, path) <= {"actions.js", "filters.js", "theme.js", "nav_sidebar.js"}


@pytest.mark.parametrize(
    "path", ["/admin/workflows/workflow/add/", "/admin/tokens/token/add/", "/admin/auth/user/add/"]
)
def test_a_page_with_fields_loads_them(page: Page, site: LiveSite, path: str) -> None:
    assert scripts_of_django(page, site, path) >= {"jquery.init.js", "core.js", "RelatedObjectLookups.js"}


@pytest.mark.parametrize(("path", "first"), [(RUN, "none"), (f"{RUN}#history", "block")])
def test_the_parts_of_a_run_take_turns_unless_one_is_linked(
    own_page: Page, site: LiveSite, path: str, first: str
) -> None:
    page = own_page
    page.add_init_script(NOTE)
    page.goto(site.url(path))
    assert page.evaluate("window.first") == first
    page.wait_for_function(ALL_SHOWN)
    hidden = "parts => parts.filter(part => !part.checkVisibility()).length"
    assert page.locator(".in-turn").evaluate_all(hidden) == 0


def test_the_parts_of_a_run_are_there_soon_though_the_page_never_ends(own_page: Page, site: LiveSite) -> None:
    """Its scripts may hang, and a person may press Stop."""
    own_page.route("**/graph_tools.js", lambda _route: None)
    own_page.goto(site.url(RUN), wait_until="commit")
    expect(own_page.locator("#history")).to_be_visible(timeout=10_000)


def test_the_boxes_of_a_large_graph_take_turns(own_page: Page, site: LiveSite) -> None:
    page = own_page
    page.add_init_script(NOTE)
    page.goto(site.url(fan_out(site, 60) + "?open=all"))
    assert 0 < page.evaluate("window.boxes") < 61
    page.wait_for_function(ALL_SHOWN)
    expect(page.locator(".graph .box:visible")).to_have_count(61)
