"""Pages on paper: what they say, as wide as the sheet, and nothing to press."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.layout_checks import WIDER
from browser.live_site import LiveSite
from browser.pages import PAGES, View

SHEET: Any = {"width": 794, "height": 1123}  # A4
PRINTED = [view for view in PAGES if view.signed_in and view.name != "api"]
# What is for hands: it is in sight although the page is printed.
PRESSED = """
() => [...document.querySelectorAll("nav, search, [role=search], button, .button, [type=submit], .object-tools")]
    .filter(each => each.checkVisibility())
    .map(each => each.outerHTML.slice(0, 120))
"""
# What a sheet cuts off, because it would be scrolled into sight.
CUT = """
() => [...document.querySelectorAll(".results, .nodes-scroll, pre, .log-text")]
    .filter(each => each.checkVisibility() && getComputedStyle(each).overflowX !== "visible")
    .filter(each => each.scrollWidth > each.clientWidth + 1)
    .map(each => `${each.className} is cut: ${each.textContent.trim().slice(0, 60)}`)
"""
DARK = "getComputedStyle(document.body).backgroundColor"


@pytest.mark.parametrize("view", PRINTED, ids=lambda view: view.name)
def test_a_printed_page_has_nothing_to_press_and_fits_its_sheet(view: View, page: Page, site: LiveSite) -> None:
    page.set_viewport_size(SHEET)
    site.show(page, view)
    expect(page.locator(view.shows).first).to_be_visible()
    page.emulate_media(media="print")
    assert [*page.evaluate(PRESSED), *page.evaluate(CUT)] == []
    assert page.evaluate(WIDER) <= 0


def test_a_page_is_printed_in_light_colours_also_in_the_dark_theme(page: Page, site: LiveSite) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(site.url("/admin/"))
    assert page.evaluate(DARK) == "rgb(18, 18, 18)"
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(DARK) == "rgb(255, 255, 255)"
