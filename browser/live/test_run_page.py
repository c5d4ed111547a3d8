"""The page of a run while an engine reports."""

import re

from playwright.sync_api import Page, Request, expect

from browser.engine import Engine
from browser.live.streams import stream_of
from browser.live_site import LiveSite
from browser.pages import RUN_PAGE

# Pauses that a test cannot wait for, between refreshes. Those of streams stay as they are, because the server's do.
HELD = """
const later = setTimeout, kept = [3_000, 3_500, 60_000];
window.setTimeout = (work, pause, ...more) => later(work, kept.includes(pause) ? pause : 1_000 * pause, ...more);
"""


def test_the_page_of_a_run_follows_its_engine_by_itself(page: Page, site: LiveSite, engine: Engine) -> None:
    engine("start", "run")
    page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    head = page.locator(".ledger-head").first
    expect(head).to_contain_text("running")
    expect(head).to_contain_text(re.compile(r" [2-9] s so far"))  # counted on by the page
    expect(page.get_by_text("Nothing was logged.")).to_be_visible()
    engine("start", "Load")
    expect(page.get_by_role("link", name="Load: running")).to_be_visible()
    engine("log", "2368 rows are here")
    expect(page.get_by_text("2368 rows are here").first).to_be_visible()
    engine("fail", "Load")
    expect(page.get_by_role("link", name="Load: failed")).to_be_visible()
    engine("fail", "run")
    expect(head).to_contain_text("failed")


def test_a_page_whose_run_has_ended_learns_that_it_was_retried(clocked: Page, site: LiveSite, engine: Engine) -> None:
    page = clocked
    engine("start", "run")
    with page.expect_request(stream_of):
        page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    over: list[Request] = []  # by whichever side was first, after its end
    for event in ("requestfailed", "requestfinished"):
        page.on(event, lambda request: stream_of(request) and over.append(request))
    engine("fail", "run")
    for _ in range(300):
        if not over:
            page.wait_for_timeout(100)
    assert over
    expect(page.locator(".ledger-head").first).to_contain_text("failed")
    engine("retry", "run")
    page.clock.fast_forward(61_000)
    expect(page.locator(".ledger-head").first).to_contain_text("pending")


def test_a_run_that_ended_shows_at_once_how_long_it_took(own_page: Page, site: LiveSite, engine: Engine) -> None:
    page = own_page
    page.add_init_script(HELD)
    engine("start", "run")
    with page.expect_request(stream_of):
        page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    head = page.locator(".ledger-head").first
    expect(head).to_contain_text("so far")
    expect(page.get_by_role("button", name="Mark as failed")).to_be_visible()
    engine("fail", "run")
    expect(head).to_contain_text("failed")
    expect(head).not_to_contain_text("so far")
    expect(page.get_by_role("button", name="Mark as failed")).to_have_count(0)


def test_what_is_made_anew_keeps_the_focus(page: Page, site: LiveSite, engine: Engine) -> None:
    engine("start", "run")
    page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    nodes = page.locator('[data-live="nodes"]')
    nodes.get_by_role("link", name="Load").first.focus()
    where = page.evaluate("document.activeElement.href")
    page.evaluate("document.activeElement.dataset.old = '1'")
    engine("start", "Load")
    expect(nodes.locator("[data-old]")).to_have_count(0)  # another element stands in its place
    assert page.evaluate("document.activeElement.href") == where


def test_a_node_that_is_chosen_after_the_session_has_ended_leads_to_the_login(page: Page, site: LiveSite) -> None:
    page.goto(site.url(RUN_PAGE.format(run=site.ids["failed_run"])))
    page.context.clear_cookies()
    page.get_by_role("link", name="Prices KRX: failed").click()
    expect(page.locator("#login-form")).to_be_visible()
