"""The log page while an engine reports."""

from playwright.sync_api import Page, Route, expect

from browser.engine import Engine
from browser.live_site import LiveSite
from browser.pages import RUNS


def test_the_log_follows_a_run_and_leads_to_its_first_error(page: Page, site: LiveSite, engine: Engine) -> None:
    engine("start", "run")
    engine("start", "Load")
    engine("log", "the first line")
    page.goto(site.url(f"{RUNS}{engine.ids['run']}/logs/"))
    expect(page.locator(".log-lines").get_by_text("the first line")).to_be_visible()
    page.get_by_role("button", name="Follow").click()
    for number in range(3):
        engine("log", f"another line {number}")
    expect(page.locator(".log-lines").get_by_text("another line 2")).to_be_visible()


def test_a_log_that_is_resized_while_its_lines_are_fetched_is_shown(page: Page, site: LiveSite) -> None:
    held: list[Route] = []
    page.route("**/*fragment=1*", lambda route: held.append(route))  # noqa: PLW0108  # Playwright marks the function
    with page.expect_request("**/*fragment=1*"):
        page.goto(site.url(f"{RUNS}{{failed_run}}/logs/?at=end"))
    page.set_viewport_size({"width": 800, "height": 900})
    page.evaluate("() => new Promise(requestAnimationFrame)")  # the resize has been handled
    page.unroute("**/*fragment=1*")  # and let go of what was held
    expect(page.locator(".is-alive .line-error").last).to_be_visible()


def test_a_line_is_found_among_the_others(page: Page, site: LiveSite) -> None:
    page.goto(site.url(f"{RUNS}{{failed_run}}/logs/"))
    page.locator("main").get_by_label("Search").fill("0 of 953")
    page.keyboard.press("Enter")
    expect(page.locator("#log mark").first).to_be_visible()
    page.get_by_role("link", name="First error", exact=True).click()
    expect(page.locator(".line-error").first).to_be_in_viewport()


def test_the_head_of_a_log_follows_its_run_and_the_way_to_its_first_failure(
    page: Page, site: LiveSite, engine: Engine
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
    expect(page.locator(".is-requested")).to_contain_text("the first error")
    expect(page.locator(".is-requested")).to_be_in_viewport()
    engine("complete", "Load")
    engine("complete", "run")
    expect(page.get_by_text("The run has ended")).to_be_visible()
    expect(page.locator(".ledger-head .status")).to_have_text("completed")
