"""Open pages of a run that is deleted."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Route, StorageState, expect

from browser.engine import Engine
from browser.guard import Guard
from browser.live.streams import hide, stream_of
from browser.live_site import LiveSite
from browser.pages import RUN_PAGE, RUNS


def test_a_run_that_is_deleted_leaves_the_lists_that_are_open(
    page: Page, opened: Callable[..., BrowserContext], session: StorageState, site: LiveSite, engine: Engine
) -> None:
    run = engine.ids["run"]
    engine("start", "run")
    engine("fail", "run")
    with page.expect_request(stream_of):
        page.goto(site.url(RUNS))
    row = page.locator("#result_list tbody tr", has=page.locator(f'a[href*="{run}"]'))
    expect(row).to_have_count(1)
    delete(opened(storage_state=session).new_page(), site, run)
    expect(row).to_have_count(0)


def delete(page: Page, site: LiveSite, run: str) -> None:
    page.goto(site.url(f"{RUNS}{run}/delete/"))
    page.get_by_label(re.compile("reason", re.IGNORECASE)).fill("it was made by mistake")
    page.get_by_role("button", name=re.compile("delete|sure", re.IGNORECASE)).click()
    page.wait_for_url(lambda url: "/delete/" not in url)


def test_the_open_page_of_a_run_that_is_deleted_says_so(
    page: Page,
    opened: Callable[..., BrowserContext],
    session: StorageState,
    site: LiveSite,
    engine: Engine,
    guards: list[Guard],
) -> None:
    guards[0].expected = {404}
    engine("start", "run")
    with page.expect_request(stream_of):
        page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    engine("fail", "run")
    expect(page.locator(".ledger-head").first).to_contain_text("failed")
    hide(page, hidden=True)
    delete(opened(storage_state=session).new_page(), site, engine.ids["run"])
    hide(page, hidden=False)  # a run that has ended is asked for once a minute, and when it is looked at again
    expect(page.get_by_text("This run was deleted.")).to_be_visible()


def test_the_page_of_a_deleted_run_says_so_also_where_it_is_refreshed_before_its_stream_ends(
    page: Page,
    opened: Callable[..., BrowserContext],
    session: StorageState,
    site: LiveSite,
    engine: Engine,
    guards: list[Guard],
) -> None:
    guards[0].expected = {404}
    engine("start", "run")
    address = site.url(RUN_PAGE.format(run=engine.ids["run"]))
    with page.expect_request(stream_of):
        page.goto(address)
    refreshes: list[Route] = []
    page.route(address, lambda route: refreshes.append(route) if is_fetch(route) else route.continue_())
    with page.expect_request(lambda request: request.url == address):
        engine("fail", "run")
    page.route("**/stream/**", lambda _: None)  # never answered
    delete(opened(storage_state=session).new_page(), site, engine.ids["run"])
    refreshes[0].continue_()
    expect(page.get_by_text("This run was deleted.")).to_be_visible()


@pytest.mark.parametrize("is_looked_at_again", [True, False], ids=["by its stream", "by its lines"])
def test_the_open_log_of_a_run_that_is_deleted_says_so(
    page: Page,
    opened: Callable[..., BrowserContext],
    session: StorageState,
    site: LiveSite,
    engine: Engine,
    guards: list[Guard],
    is_looked_at_again: bool,
) -> None:
    guards[0].expected = {404}
    engine("start", "run")
    engine("log", "the only line")
    with page.expect_request(stream_of):
        page.goto(site.url(f"{RUNS}{engine.ids['run']}/logs/"))
    engine("fail", "run")
    expect(page.get_by_text("The run has ended")).to_be_visible()
    hide(page, hidden=True)
    delete(opened(storage_state=session).new_page(), site, engine.ids["run"])
    if is_looked_at_again:
        hide(page, hidden=False)
    else:
        page.get_by_label("Times").select_option("start")
    expect(page.get_by_text("This run was deleted.")).to_be_visible()


def is_fetch(route: Route) -> bool:
    return route.request.resource_type == "fetch"


def test_a_run_is_deleted_for_a_reason_that_outlives_it(page: Page, site: LiveSite, engine: Engine) -> None:
    engine("start", "run")
    engine("fail", "run")
    delete(page, site, engine.ids["run"])
    page.goto(site.url("/admin/executions/deletion/"))
    expect(page.get_by_text("it was made by mistake").first).to_be_visible()
