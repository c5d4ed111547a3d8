"""Pages that live: what another process does comes in by itself; what one found can be shared."""

import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, Route, StorageState, expect
from playwright.sync_api import Error as PlaywrightError

from browser import screenshots
from browser.engine import Engine
from browser.guard import Guard
from browser.live_site import Stage
from browser.pages import RUN_PAGE, RUNS

# Pauses between refreshes take a tenth of their time. Those of streams stay as they are (live.js, lost.js: POLL_MS and
# PATIENCE_MS, SILENCE_MS, ENDED_MS), for the server keeps its own time.
HASTE = """
const later = setTimeout, kept = [3_000, 3_500, 60_000];
window.setTimeout = (work, pause, ...more) => later(work, kept.includes(pause) ? pause : pause / 10, ...more);
"""


@pytest.fixture
def page(page: Page) -> Page:
    page.add_init_script(HASTE)
    return page


@pytest.fixture
def clocked(opened: Callable[..., BrowserContext], session: StorageState) -> Page:
    """Return a page of admin whose clock a test may turn on."""
    page = opened(storage_state=session).new_page()
    page.clock.install()
    return page


def turn_clock_until(page: Page, check: Callable[..., None]) -> None:
    """Let a second pass for the scripts of the page again and again, until `check` of an expectation passes."""
    deadline = time.monotonic() + 30
    while True:
        page.clock.run_for(1_000)
        try:
            return check(timeout=250)
        except AssertionError:
            if time.monotonic() > deadline:
                raise


def test_the_page_of_a_run_follows_its_engine_by_itself(page: Page, site: Stage, engine: Engine) -> None:
    engine("start", "run")
    page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    head = page.locator(".ledger-head").first
    expect(head).to_contain_text("running")
    expect(page.get_by_text("Nothing was logged.")).to_be_visible()
    engine("start", "Load")
    expect(page.get_by_role("link", name="Load: running")).to_be_visible()
    engine("log", "2368 rows are here")
    expect(page.get_by_text("2368 rows are here").first).to_be_visible()
    engine("fail", "Load")
    expect(page.get_by_role("link", name="Load: failed")).to_be_visible()
    engine("fail", "run")
    expect(head).to_contain_text("failed")


POLLING = "retry: 100\n\nevent: poll\ndata: {}\n\n"  # what WSGI answers at the end of what is new


def stream_of(request: Request) -> bool:
    return "/stream/" in request.url and "wait=0" not in request.url


def hide(page: Page, *, hidden: bool) -> None:
    """Make the page believe that another tab is active: a headless browser has none to switch to."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_a_server_that_holds_no_stream_open_is_polled_in_silence(page: Page, site: Stage, engine: Engine) -> None:
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


def test_a_hidden_tab_lets_go_and_goes_on_where_it_was(page: Page, site: Stage, engine: Engine) -> None:
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


def test_a_page_whose_run_has_ended_learns_that_it_was_retried(clocked: Page, site: Stage, engine: Engine) -> None:
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


def test_what_is_made_anew_keeps_the_focus(page: Page, site: Stage, engine: Engine) -> None:
    engine("start", "run")
    page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    nodes = page.locator('[data-live="nodes"]')
    nodes.get_by_role("link", name="Load").first.focus()
    where = page.evaluate("document.activeElement.href")
    page.evaluate("document.activeElement.dataset.old = '1'")
    engine("start", "Load")
    expect(nodes.locator("[data-old]")).to_have_count(0)  # another element stands in its place
    assert page.evaluate("document.activeElement.href") == where


def test_a_run_that_is_deleted_leaves_the_lists_that_are_open(
    page: Page, opened: Callable[..., BrowserContext], session: StorageState, site: Stage, engine: Engine
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


def delete(page: Page, site: Stage, run: str) -> None:
    page.goto(site.url(f"{RUNS}{run}/delete/"))
    page.get_by_label(re.compile("reason", re.IGNORECASE)).fill("it was made by mistake")
    page.get_by_role("button", name=re.compile("delete|sure", re.IGNORECASE)).click()
    page.wait_for_url(lambda url: "/delete/" not in url)


def test_the_open_page_of_a_run_that_is_deleted_says_so(
    page: Page,
    opened: Callable[..., BrowserContext],
    session: StorageState,
    site: Stage,
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
    site: Stage,
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
    site: Stage,
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


def test_a_node_that_is_chosen_after_the_session_has_ended_leads_to_the_login(page: Page, site: Stage) -> None:
    page.goto(site.url(RUN_PAGE.format(run=site.ids["failed_run"])))
    page.context.clear_cookies()
    page.get_by_role("link", name="Prices KRX: failed").click()
    expect(page.locator("#login-form")).to_be_visible()


def test_the_log_follows_a_run_and_leads_to_its_first_error(page: Page, site: Stage, engine: Engine) -> None:
    engine("start", "run")
    engine("start", "Load")
    engine("log", "the first line")
    page.goto(site.url(f"{RUNS}{engine.ids['run']}/logs/"))
    expect(page.locator(".log-lines").get_by_text("the first line")).to_be_visible()
    page.get_by_role("button", name="Follow").click()
    for number in range(3):
        engine("log", f"another line {number}")
    expect(page.locator(".log-lines").get_by_text("another line 2")).to_be_visible()


def test_a_log_that_is_resized_while_its_lines_are_fetched_is_shown(page: Page, site: Stage) -> None:
    held: list[Route] = []
    page.route("**/*fragment=1*", lambda route: held.append(route))  # noqa: PLW0108  # Playwright marks the function
    with page.expect_request("**/*fragment=1*"):
        page.goto(site.url(f"{RUNS}{{failed_run}}/logs/?at=end"))
    page.set_viewport_size({"width": 800, "height": 900})
    page.evaluate("() => new Promise(requestAnimationFrame)")  # the resize has been handled
    page.unroute("**/*fragment=1*")  # and let go of what was held
    expect(page.locator(".is-alive .line-error").last).to_be_visible()


def test_a_line_is_found_among_the_others(page: Page, site: Stage) -> None:
    page.goto(site.url(f"{RUNS}{{failed_run}}/logs/"))
    page.get_by_label("Search").fill("0 of 953")
    page.keyboard.press("Enter")
    expect(page.locator("#log mark").first).to_be_visible()
    page.get_by_role("link", name="First error", exact=True).click()
    expect(page.locator(".line-error").first).to_be_in_viewport()


def test_a_view_of_the_list_is_saved_and_shared(
    page: Page, opened: Callable[..., BrowserContext], session: StorageState, site: Stage
) -> None:
    page.goto(site.url(f"{RUNS}?status=failed&not_trigger_type=event"))
    page.get_by_text("Save as a view").click()
    form = page.locator("details.view-form[open]")
    name = f"Failures that no event began, {uuid4()}"  # an owner has one view of a name, and a test may be repeated
    form.get_by_label("Name").fill(name)
    form.get_by_label(re.compile("share", re.IGNORECASE)).check()
    form.get_by_role("button", name="Save").click()
    view = page.get_by_role("navigation", name="Saved views").get_by_role("link", name=name)
    expect(view).to_have_attribute("aria-current", "page")
    address = view.get_attribute("href") or ""

    colleague = opened(storage_state=session).new_page()
    colleague.goto(site.url(address.replace("{", "{{").replace("}", "}}")))
    statuses = colleague.locator("#result_list tbody .status").all_inner_texts()
    assert {text.strip() for text in statuses} == {"failed"}


def test_the_grid_of_a_workflow_leads_to_the_node_of_a_run(page: Page, site: Stage) -> None:
    page.goto(site.url("/admin/workflows/workflow/{workflow}/"))
    page.locator("td.status-failed a").first.click()
    expect(page.get_by_role("complementary", name="Prices KRX")).to_be_visible()


def test_a_question_mark_lists_the_keys(page: Page, site: Stage) -> None:
    page.goto(site.url(RUNS))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("#result_list tbody tr a:focus")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/change/**")


def test_a_run_is_deleted_for_a_reason_that_outlives_it(page: Page, site: Stage, engine: Engine) -> None:
    engine("start", "run")
    engine("fail", "run")
    delete(page, site, engine.ids["run"])
    page.goto(site.url("/admin/executions/deletion/"))
    expect(page.get_by_text("it was made by mistake").first).to_be_visible()


def lost(page: Page, kind: str) -> Locator:
    return page.locator(f'[data-lost="{kind}"]')


def clock_stands(page: Page) -> bool:
    """Return whether every running duration of the page stays the same while 2.2 seconds pass for its scripts."""
    read = """() => [...document.querySelectorAll("time.clock")].map(each => each.textContent).join()"""
    before = page.evaluate(read)
    page.clock.run_for(2_200)
    return bool(before == page.evaluate(read))


def test_a_run_that_ends_changes_its_row_of_the_list_while_its_link_has_the_focus(
    page: Page, site: Stage, engine: Engine
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


def test_more_live_pages_than_connections_leave_one_for_clicks(
    opened: Callable[..., BrowserContext], session: StorageState, site: Stage, engine: Engine
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
    opened: Callable[..., BrowserContext], browser: Browser, site: Stage, engine: Engine, guards: list[Guard]
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


def test_the_head_of_a_log_follows_its_run_and_the_way_to_its_first_failure(
    page: Page, site: Stage, engine: Engine
) -> None:
    engine("start", "run")
    engine("start", "Load")
    engine("log", "the first line")
    page.goto(site.url(f"{RUNS}{engine.ids['run']}/logs/"))
    expect(page.get_by_role("link", name="First error", exact=True)).to_be_hidden()
    engine("error", "the first error")
    for number in range(60):
        engine("log", f"line {number}")
    engine("error", "the second error")
    expect(page.get_by_text("2 errors")).to_be_visible()
    page.get_by_role("link", name="Newest lines").click()
    expect(page.get_by_text("the second error")).to_be_in_viewport()
    page.get_by_role("link", name="First error", exact=True).click()
    expect(page.locator(".is-asked-for")).to_contain_text("the first error")
    expect(page.locator(".is-asked-for")).to_be_in_viewport()
    engine("complete", "Load")
    engine("complete", "run")
    expect(page.get_by_text("The run has ended")).to_be_visible()
    expect(page.locator(".ledger-head .status")).to_have_text("completed")


def test_a_page_says_that_the_server_is_silent_goes_on_trying_and_finds_it_again(
    clocked: Page, site: Stage, engine: Engine, guards: list[Guard]
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
    clocked: Page, site: Stage, engine: Engine, guards: list[Guard], status: int, kind: str
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


def test_the_page_of_a_workflow_follows_its_runs_from_before_its_stream_is_open(
    page: Page, site: Stage, engine: Engine
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
