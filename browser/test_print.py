"""Colours of a page on paper. What all pages have on it is tested with their layout (test_pages.py)."""

from playwright.sync_api import Page

from browser.live_site import LiveSite

BACKGROUND = "getComputedStyle(document.body).backgroundColor"


def test_a_page_is_printed_in_light_colours_also_in_the_dark_theme(page: Page, site: LiveSite) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(site.url("/admin/"))
    assert page.evaluate(BACKGROUND) == "rgb(18, 18, 18)"
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
