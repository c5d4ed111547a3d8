"""Layout, accessibility and print of every page of ours."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, StorageState, ViewportSize, expect

from browser.guard import Guard
from browser.live_site import LiveSite
from browser.pages import PAGES, View
from pastetrader.tests.proofs import LONG

from . import axe, layout_checks, print_checks

OURS = [view for view in PAGES if view.name != "api"]  # Swagger UI's markup and layout cannot be mended from here
SCHEMES = {1440: "light", 375: "dark"}  # in which axe examines a page of that width
SHOWN_BY_OTHERS = {"run", "runs"}  # whole pages of which others show more: axe does not examine them
# Pages whose header axe examines: before a login, on one of its first links, on one from behind "More", and on others.
WITH_HEADER = {"login", "monitor", "activity", "upkeep", "time-zone"}
# Pages of a template that another page is made of: tried in one way, and in all of them with `make proofs`.
ALIKE = {
    "workflow-start", "bulk-actions",
    "expectations", "alert-rules", "alert-channels", "alert-messages", "runs-none", "log-errors", "lines", "nodes",
    "workflows", "deletions", "changes", "users", "groups", "tokens", "run-compared", "run-completed", "token-new",
    "password",
}  # fmt: skip
assert {view.name for view in OURS} >= WITH_HEADER | ALIKE | SHOWN_BY_OTHERS
WITHOUT_SCRIPTS = [view for view in OURS if view.signed_in and (LONG or view.name not in ALIKE)]


# One page of the browser for all of ours: starting the process of a new one costs more than loading most of them.
@pytest.fixture(scope="module")
def watched_tab(with_scripts: Guard) -> Iterator[Page]:
    with with_scripts.context.new_page() as page:
        page.add_init_script(layout_checks.WATCH_SHIFTS)
        axe.install(page)
        yield page


@pytest.fixture(scope="module")
def plain_tab(without_scripts: Guard) -> Iterator[Page]:
    with without_scripts.context.new_page() as page:
        yield page


@pytest.fixture
def page(watched_tab: Page, with_scripts: Guard, guards: list[Guard], session: StorageState) -> Page:
    with_scripts.begin(session)
    guards.append(with_scripts)
    return watched_tab


@pytest.fixture
def plain(plain_tab: Page, without_scripts: Guard, guards: list[Guard], session: StorageState) -> Page:
    without_scripts.begin(session)
    guards.append(without_scripts)
    return plain_tab


@pytest.mark.parametrize("view", OURS, ids=lambda view: view.name)
def test_a_page_keeps_its_place_takes_its_clicks_violates_no_rule_of_wcag_and_fits_a_sheet(
    view: View, page: Page, site: LiveSite
) -> None:
    if not view.signed_in:
        page.context.clear_cookies()
    faults: list[str] = []
    for width in sorted(widths(view)):  # a sheet is looked at after the widest, as a desktop prints it
        scheme: Any = SCHEMES.get(width, "light")
        size = ViewportSize(width=width, height=layout_checks.HEIGHT)
        page.emulate_media(media="screen", color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size(size)
        faults += [*layout_checks.load(page, view, site), *layout_checks.faults_of(page)]
        if is_examined(view, width):
            faults += axe.faults_of(page, [(scheme, size)], has_known_header=view.name not in WITH_HEADER)
    if view.signed_in:
        faults += print_checks.faults_of(page)
    assert not faults, "\n".join(faults)


def widths(view: View) -> tuple[int, ...]:
    """Return the widths in which a page is loaded. Dark and on a phone, more can be wrong than in light."""
    return layout_checks.LOADED if LONG or view.name not in ALIKE else (min(SCHEMES),)


def is_examined(view: View, width: int) -> bool:
    """Return whether axe examines a page of that width."""
    return view.name not in SHOWN_BY_OTHERS and width in SCHEMES


@pytest.mark.parametrize("view", WITHOUT_SCRIPTS, ids=lambda view: view.name)
def test_a_page_reads_without_javascript(view: View, plain: Page, site: LiveSite) -> None:
    site.show(plain, view)
    expect(plain.locator(view.shows).first).to_be_visible()
    expect(plain.locator("h1").first).not_to_be_empty()


def test_the_docs_of_the_api_have_the_theme_of_the_admin(page: Page, site: LiveSite) -> None:
    page.emulate_media(media="screen", color_scheme="dark")  # the tests before leave it as printed
    page.set_viewport_size(axe.WIDE)
    site.open(page, "/api/v1/docs/")
    expect(page.locator("html")).to_contain_class("dark-mode")
    site.open(page, "/admin/")
    page.locator(".theme-toggle").first.click()  # from that of the system to the other
    site.open(page, "/api/v1/docs/")
    expect(page.locator("html")).not_to_contain_class("dark-mode")
    page.evaluate("localStorage.clear()")
