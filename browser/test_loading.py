"""Work of the browser's thread while a page is opened and changed (benches/pages.py measures how long it takes)."""

import json

import pytest
from playwright.sync_api import Page

from browser.live_site import LiveSite
from browser.pages import RUNS

# Changes a text of the list, as its clocks do each second, and waits until that is painted.
CHANGE = """() => {
    document.querySelector(SHOWS).textContent += "!";
    return new Promise(done => requestAnimationFrame(() => setTimeout(done)));
}"""
FEW = 50  # elements


def largest_style_pass(page: Page, script: str) -> int:
    """Return of how many elements the styles were computed at once while a script ran."""
    browser = page.context.browser
    assert browser
    browser.start_tracing(page=page, categories=["devtools.timeline"])
    page.evaluate(script)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    return max(event["args"].get("elementCount", 0) for event in events if event["name"] == "UpdateLayoutTree")


@pytest.mark.parametrize("changed", ["#result_list tbody th a", ".action-counter"])
def test_a_change_of_a_list_computes_the_styles_of_few_elements(page: Page, site: LiveSite, changed: str) -> None:
    page.goto(site.url(RUNS))
    page.wait_for_load_state()
    assert largest_style_pass(page, CHANGE.replace("SHOWS", repr(changed))) < FEW
