"""Checks of a page on paper: nothing to press, nothing that the sheet cuts off, and no wider than it."""

from playwright.sync_api import Page, ViewportSize

from browser.layout_checks import SETTLED, WIDER

SHEET = ViewportSize(width=794, height=1123)  # A4
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


def faults_of(page: Page) -> list[str]:
    """Return what is wrong with the page, which has been loaded in another width, when it is printed. Leave it so."""
    page.set_viewport_size(SHEET)
    page.emulate_media(media="print", color_scheme="light")
    page.evaluate(SETTLED)
    wider = page.evaluate(WIDER)
    found = [*page.evaluate(PRESSED), *page.evaluate(CUT), *([f"it is {wider} px too wide"] if wider > 0 else [])]
    return [f"printed: {fault}" for fault in found]
