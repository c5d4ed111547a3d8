"""The list of runs and the page of a workflow while an engine reports."""

from contextlib import suppress

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, Route, expect

from browser.engine import Engine
from browser.live.streams import stream_of
from browser.live_site import LiveSite
from browser.pages import RUN_PAGE, RUNS


def test_a_run_that_ends_changes_its_row_of_the_list_while_its_link_has_the_focus(
    page: Page, site: LiveSite, engine: Engine
) -> None:
    engine("start", "run")
    with page.expect_request(stream_of):
        page.goto(site.url(RUNS))
    row = page.locator("#result_list tbody tr", has=page.locator(f'a[href*="{engine.ids["run"]}"]'))
    expect(row.locator(".status")).to_have_text("running")
    row.locator("th a").first.focus()
    engine("complete", "run")
    expect(row.locator(".status")).to_have_text("completed")
    assert page.evaluate("document.activeElement.closest('th') !== null")


def test_the_page_of_a_workflow_follows_its_runs_from_before_its_stream_is_open(
    page: Page, site: LiveSite, engine: Engine
) -> None:
    engine("start", "run")
    engine("start", "Load")
    page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    opened: list[Route] = []

    def hold(route: Route) -> None:
        opened.append(route)

    page.route("**/api/v1/executions/stream/**", hold)
    page.locator(".ledger-head").first.get_by_role("link").click()
    last = page.locator(".workflow-facts .status").first
    expect(last).to_have_text("running")
    engine("fail", "run")
    page.unroute("**/api/v1/executions/stream/**")
    for route in opened:
        with suppress(PlaywrightError):  # unroute() may have continued it
            route.continue_()
    expect(last).to_have_text("failed")
    expect(page.locator("time.clock")).to_have_count(0)
    page.keyboard.press("j")
    expect(page.locator(".grid a:focus")).to_have_count(1)
