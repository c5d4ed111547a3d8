"""Live pages without a stream, a server or a session."""

import re
import signal
from collections.abc import Callable
from functools import partial

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, StorageState, expect

from browser import screenshots
from browser.engine import Engine
from browser.guard import Guard
from browser.live.streams import clock_stands, hide, lost, stream_of, turn_clock_until
from browser.live_site import LiveSite
from browser.pages import RUN_PAGE, RUNS

POLLING = "retry: 100\n\nevent: poll\ndata: {}\n\n"  # what WSGI answers at the end of what is new


def test_a_server_that_holds_no_stream_open_is_polled_in_silence(page: Page, site: LiveSite, engine: Engine) -> None:
    engine("start", "run")
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(content_type="text/event-stream", body=POLLING)

    page.route(lambda url: "/stream/" in url and "wait=0" not in url, answer)
    page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    page.evaluate(
        """() => new MutationObserver(() => { window.toldOfLoss = true; })
            .observe(document.querySelector("[data-lost]"), { attributes: true })"""
    )
    with page.expect_response(lambda response: "wait=0" in response.url):
        engine("log", "it came by a poll")
    expect(page.get_by_text("it came by a poll").first).to_be_visible()
    assert len(asked) == 1
    assert not page.evaluate("window.toldOfLoss")


def test_a_hidden_tab_lets_go_and_goes_on_where_it_was(page: Page, site: LiveSite, engine: Engine) -> None:
    engine("start", "run")
    engine("start", "Load")
    with page.expect_request(stream_of):
        page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    engine("log", "seen at once")
    expect(page.get_by_text("seen at once").first).to_be_visible()
    with page.expect_event("requestfailed", stream_of):
        hide(page, hidden=True)
    engine("log", "seen later")
    with page.expect_request(stream_of):
        hide(page, hidden=False)
    expect(page.get_by_text("seen later").first).to_be_visible()
    expect(page.locator(".ledger-log tr", has_text="seen at once")).to_have_count(1)


def test_more_live_pages_than_connections_leave_one_for_clicks(
    opened: Callable[..., BrowserContext], session: StorageState, site: LiveSite, engine: Engine
) -> None:
    engine("start", "run")
    context = opened(storage_state=session)
    run = RUN_PAGE.format(run=engine.ids["run"])
    log = f"{RUNS}{engine.ids['run']}/logs/"
    paths = ("/admin/", RUNS, run, log, "/admin/workflows/workflow/{workflow}/", run, log)
    pages = [context.new_page() for _ in paths]  # a browser opens six connections
    for page, path in zip(pages, paths, strict=True):
        page.goto(site.url(path))
    engine("log", "seen in each")
    for page in (pages[2], pages[5]):
        expect(page.get_by_text("seen in each").first).to_be_visible()
    held = pages[0].evaluate("navigator.locks.query().then(({ held }) => held.map(({ name }) => name).sort())")
    assert held == ["ledger-stream-0", "ledger-stream-1"]
    for page in pages:
        link = page.get_by_role("link", name="Home").or_(page.get_by_role("link", name="Workflows")).first
        with page.expect_navigation(wait_until="commit", timeout=20_000):
            link.dispatch_event("click")  # a tab in the background draws too seldom for a click of the pointer
    for page in pages:
        page.wait_for_load_state()


def test_every_live_page_says_that_its_session_has_ended_and_asks_nothing_more(
    opened: Callable[..., BrowserContext], browser: Browser, site: LiveSite, engine: Engine, guards: list[Guard]
) -> None:
    engine("start", "run")
    engine("log", "a line")
    context = opened(storage_state=screenshots.signed_in(browser, site))  # a session of its own, which ends here
    context.clock.install()
    guards[0].expected = {401}
    # A stream that the page opens anew just then is led to the login page, which Chromium calls an error.
    guards[0].expected_failures |= {"EventSource's response has a MIME type"}
    run = RUN_PAGE.format(run=engine.ids["run"])
    addresses = ("/admin/", RUNS, run, f"{RUNS}{engine.ids['run']}/logs/", "/admin/workflows/workflow/{workflow}/")
    pages = [context.new_page() for _ in addresses]
    for page, path in zip(pages, addresses, strict=True):
        with page.expect_request(lambda request: "/stream/" in request.url):
            page.goto(site.url(path))
    other = context.new_page()
    other.goto(site.url("/admin/executions/nodeexecution/"))
    other.locator(".site-account summary").click()
    other.get_by_role("button", name="Log out").click()
    for page in pages:
        expect(lost(page, "session")).to_be_visible()
        expect(lost(page, "session").get_by_role("link")).to_have_attribute("href", re.compile("/admin/login/.next="))
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    assert clock_stands(pages[0])
    context.clock.run_for(61_000)  # longer than any rhythm of a page that is alive
    pages[1].wait_for_timeout(200)
    assert asked == []


def test_a_page_says_that_the_server_is_silent_goes_on_trying_and_finds_it_again(
    clocked: Page, site: LiveSite, engine: Engine, guards: list[Guard]
) -> None:
    page, is_lost = clocked, expect(lost(clocked, "server"))
    engine("start", "run")
    with page.expect_request(stream_of):
        page.goto(site.url("/admin/"))
    expect(page.locator("time.clock").first).to_be_visible()
    assert not clock_stands(page)
    site.signal(signal.SIGSTOP)  # neither an answer nor an end: what a cut line looks like
    try:
        began = page.evaluate("Date.now()")
        turn_clock_until(page, is_lost.to_be_visible)
        assert page.evaluate("Date.now()") - began < 10_000
        assert clock_stands(page)
    finally:
        site.signal(signal.SIGCONT)
    turn_clock_until(page, is_lost.to_be_hidden)
    page.route("**/stream/**", lambda route: route.abort("connectionrefused"))  # as where it is down
    guards[0].expected_failures |= {"net::ERR_CONNECTION_REFUSED"}
    site.signal(signal.SIGSTOP)
    try:
        turn_clock_until(page, is_lost.to_be_visible)
    finally:
        site.signal(signal.SIGCONT)
    page.unroute("**/stream/**")
    turn_clock_until(page, is_lost.to_be_hidden)
    engine("fail", "run")
    turn_clock_until(
        page, partial(expect(page.locator('[data-live="failed"]')).to_contain_text, "A page says that the")
    )


@pytest.mark.parametrize(("status", "kind"), [(403, "refused"), (404, "gone"), (429, "busy"), (503, "busy")])
def test_a_page_says_what_an_answer_means(
    clocked: Page, site: LiveSite, engine: Engine, guards: list[Guard], status: int, kind: str
) -> None:
    page = clocked
    guards[0].expected = {status}
    engine("start", "run")
    engine("log", "a line")
    page.route("**/stream/**", lambda route: route.fulfill(status=status))
    for address in (RUN_PAGE.format(run=engine.ids["run"]), f"{RUNS}{engine.ids['run']}/logs/"):
        page.goto(site.url(address))
        expect(lost(page, kind)).to_be_visible()
    if kind == "busy":
        page.unroute("**/stream/**")
        turn_clock_until(page, expect(lost(page, kind)).to_be_hidden)
