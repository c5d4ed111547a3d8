"""Tasks of an operator about runs, from the front page: each takes three clicks at most, and typed words.

Those at one run or workflow are in test_run_tasks.py, those about groups of errors in test_error_groups.py.
"""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from browser.engine import Engine
from browser.live_site import LiveSite
from browser.pages import RUN_PAGE
from browser.steps import Steps

FRONT = "/admin/"
HOUR = timedelta(hours=1)
ON_ALL = "All runs that match:"


def test_three_clicks_lead_from_the_front_page_to_why_last_nights_run_failed(page: Page, site: LiveSite) -> None:
    steps = Steps()
    page.goto(site.url(FRONT))
    steps.click(page.get_by_role("link", name="Nightly prices: Prices KRX"))
    trouble = page.locator(".ledger-error").first
    expect(trouble.get_by_role("heading").first).to_have_text("Prices KRX failed")
    expect(trouble.get_by_text("raise TruncatedFile")).to_be_visible()
    expect(trouble.get_by_text("6 nodes skipped because of it")).to_be_visible()

    steps.click(trouble.get_by_role("link", name="Prices KRX"))
    panel = page.get_by_role("complementary", name="Prices KRX")
    expect(panel).to_be_focused()
    expect(panel.get_by_text("Attempt 2")).to_be_visible()

    steps.click(panel.locator(".line-error").last.locator(".time a"))
    expect(page.get_by_text("end after their header: 0 of 953 rows").last).to_be_visible()


def test_a_run_is_compared_with_the_last_success(page: Page, site: LiveSite) -> None:
    steps = Steps()
    page.goto(site.url(FRONT))
    steps.click(page.get_by_role("link", name="Nightly prices: Prices KRX"))
    steps.click(page.get_by_text("Compared with the last success"))
    expect(page.get_by_role("heading", name="The first node that differs: Prices KRX")).to_be_visible()
    expect(page.locator(".durations tbody tr")).to_have_count(10)


def test_a_correlation_id_leads_to_its_run(page: Page, site: LiveSite) -> None:
    _status, run, _headers = site.call("GET", f"executions/{site.ids['failed_run']}/", None, {})
    steps = Steps()
    page.goto(site.url(FRONT))
    page.get_by_role("searchbox").fill(run["metadata"]["correlation_id"])
    page.keyboard.press("Enter")
    found = page.locator(".find-results li").filter(has_text=site.ids["failed_run"])
    steps.click(found.get_by_role("link"))
    expect(page).to_have_url(site.url(RUN_PAGE.format(run=site.ids["failed_run"])))


def test_three_clicks_show_the_failures_of_a_tag_with_a_word_in_their_error(page: Page, site: LiveSite) -> None:
    """The failed runs of the tag "prices" with "header" in their error, in the last 3 days."""
    steps = Steps()
    page.goto(site.url(FRONT))
    steps.click(page.get_by_role("link", name="Workflow executions", exact=True).first)
    steps.check(page.get_by_role("checkbox", name="failed", exact=True))
    steps.choose(page.get_by_label("Time of creation"), "Last 3 days")
    page.get_by_label("Text in the error").fill("header")
    page.get_by_label("Tag", exact=True).fill("prices")
    page.get_by_label("Tag", exact=True).press("Enter")
    chips = page.get_by_role("list", name="Filters in use").get_by_role("listitem")
    expect(chips).to_contain_text(["status: failed", "header", "tag: prices", "Last 3 days", "Clear all filters"])
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    assert "=&" not in page.url


def test_everything_of_a_workflow_is_stopped(page: Page, site: LiveSite, engine: Engine) -> None:
    engine("start", "run")
    engine("start", "Load")
    steps = Steps()
    page.goto(site.url(FRONT))
    page.keyboard.press("Control+k")
    page.keyboard.type("Everything of a workflow is stopped")
    palette = page.get_by_role("dialog", name="Search everything")
    steps.click(palette.get_by_role("option").filter(has_text="Everything of a workflow is stopped").first)
    steps.click(page.get_by_role("link", name="Stop everything"))
    expect(page.get_by_text("1 run is changed")).to_be_visible()
    page.get_by_label("Reason").fill("the exchange is closed")
    steps.click(page.get_by_role("button", name="Cancel 1 workflow execution"))
    expect(page.get_by_role("link", name="done: 1")).to_be_visible()
    expect(page.locator(".bulk-states [aria-current]")).to_have_text(["done: 1"])
    expect(page.get_by_text("1 of 1 run")).to_be_visible()
    status, refusal = engine("complete", "Load")
    assert (status, refusal["current_state"]) == (409, "cancelled")


@pytest.fixture
def hour(site: LiveSite) -> datetime:
    """Return the beginning of an hour of the last day in which no run failed, so that a test changes its own alone."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return next(each for each in (now - back * HOUR for back in range(2, 23)) if not failed_in(site, each))


def failed_in(site: LiveSite, hour: datetime) -> list[object]:
    query = f"status=failed&ended_after={hour:%Y-%m-%dT%H:%M}Z&ended_before={hour + HOUR:%Y-%m-%dT%H:%M}Z"
    return listed(site, query)


def listed(site: LiveSite, query: str) -> list[object]:
    _status, answer, _headers = site.call("GET", f"executions/?{query}", None, {})
    found: list[object] = answer["results"]
    return found


def fail(site: LiveSite, run: str, moment: datetime) -> None:
    at = {"at": f"{moment:%Y-%m-%dT%H:%M}:00Z"}
    for verb, body in (("start", at), ("fail", at | {"error_message": "no quotes"})):
        status, answer, _headers = site.call("POST", f"executions/{run}/{verb}/", body, {})
        assert status == 200, answer


def narrow(page: Page, hour: datetime) -> None:
    """Type the hour into the fields of the period, and press Enter."""
    page.get_by_label("from").fill(f"{hour:%Y-%m-%dT%H:%M}")
    page.get_by_label("to", exact=True).fill(f"{hour + HOUR:%Y-%m-%dT%H:%M}")
    page.get_by_label("to", exact=True).press("Enter")
    page.wait_for_url("**to=**")
    expect(page.get_by_text("1 run is changed")).to_be_visible()
    page.get_by_label("Reason").fill("the feed is right again")


def test_all_that_failed_in_an_hour_is_run_again(page: Page, site: LiveSite, engine: Engine, hour: datetime) -> None:
    later = Engine(site, "Failed later")
    fail(site, engine.run, hour + timedelta(minutes=20))
    fail(site, later.run, hour + timedelta(minutes=80))
    steps = Steps()
    page.goto(site.url(FRONT))
    steps.click(page.locator(".tile-failed .tile-count"))
    steps.click(page.get_by_role("navigation", name=ON_ALL).get_by_role("link", name="Run again"))
    narrow(page, hour)
    steps.click(page.get_by_role("button", name="Run 1 workflow execution again"))
    expect(page.get_by_role("link", name="done: 1")).to_be_visible()
    assert [len(listed(site, f"rerun_of={failed.run}")) for failed in (engine, later)] == [1, 0]


def test_all_that_failed_in_an_hour_is_retried(page: Page, site: LiveSite, engine: Engine, hour: datetime) -> None:
    later = Engine(site, "Failed later, not retried")
    fail(site, engine.run, hour + timedelta(minutes=20))
    fail(site, later.run, hour + timedelta(minutes=80))
    steps = Steps()
    page.goto(site.url(FRONT))
    steps.click(page.locator(".tile-failed .tile-count"))
    steps.click(page.get_by_role("navigation", name=ON_ALL).get_by_role("link", name="Retry"))
    narrow(page, hour)
    steps.click(page.get_by_role("button", name="Retry 1 workflow execution"))
    expect(page.get_by_role("link", name="done: 1")).to_be_visible()
    assert [status_of(site, each.run) for each in (engine, later)] == ["pending", "failed"]


def status_of(site: LiveSite, run: str) -> object:
    return site.call("GET", f"executions/{run}/", None, {})[1]["status"]


def test_what_a_user_did_yesterday(page: Page, site: LiveSite, engine: Engine) -> None:
    engine("start", "run")  # by the same user, today
    steps = Steps()
    page.goto(site.url(FRONT))
    steps.click(page.locator(".site-nav summary"))
    steps.click(page.get_by_role("link", name="Activity", exact=True))
    today, times = datetime.now(UTC), page.locator("#result_list .field-time")
    expect(times.first).to_contain_text(f"{today:%Y-%m-%d}")
    steps.choose(page.get_by_label("Date"), "yesterday")
    page.get_by_label("User").fill("admin")
    page.get_by_label("User").press("Enter")
    chips = page.get_by_role("list", name="Filters in use")
    expect(chips).to_contain_text("admin")
    expect(chips).to_contain_text("Yesterday")
    expect(page.locator("#result_list .field-subject").first).to_contain_text("Nightly prices")
    of_yesterday = re.compile(f"{today - timedelta(days=1):%Y-%m-%d} ")
    expect(times).to_have_text([of_yesterday] * times.count())
    names = page.locator("#result_list .field-who").all_inner_texts()
    assert {text.split()[0] for text in names} == {"admin"}
