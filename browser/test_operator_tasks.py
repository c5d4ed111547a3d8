"""Tasks of an operator about many runs: each takes three clicks at most, and typed words."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import Locator, Page, expect

from browser.engine import Engine
from browser.live_site import LiveSite
from browser.pages import RUN_PAGE, RUNS

MOST = 3


class Clicks:
    """Clicks of one task, counted."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, target: Locator) -> None:
        self.number += 1
        assert self.number <= MOST
        target.click()


def test_everything_of_a_workflow_is_stopped(page: Page, site: LiveSite, engine: Engine) -> None:
    engine("start", "run")
    engine("start", "Load")
    click = Clicks()
    page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    click(page.get_by_role("link", name="Everything of a workflow is stopped").first)
    click(page.get_by_role("link", name="Stop everything"))
    expect(page.get_by_text("1 run is changed")).to_be_visible()
    page.get_by_label("Reason").fill("the exchange is closed")
    click(page.get_by_role("button", name="Cancel 1 workflow execution"))
    expect(page.get_by_role("link", name="done: 1")).to_be_visible()
    expect(page.get_by_text("1 of 1 run")).to_be_visible()
    status, refusal = engine("complete", "Load")
    assert (status, refusal["current_state"]) == (409, "cancelled")


def test_all_that_failed_in_a_period_is_retried(page: Page, site: LiveSite, engine: Engine) -> None:
    for verb in ("start", "fail"):
        engine(verb, "run")
    click = Clicks()
    page.goto(site.url(RUNS))
    click(page.get_by_role("link", name="Failed today"))
    click(page.get_by_role("navigation", name="All runs that match:").get_by_role("link", name="Retry"))
    just_now = datetime.now(UTC) - timedelta(minutes=1)  # last night's failed run, which others need, is older
    page.get_by_label("from").fill(f"{just_now:%Y-%m-%dT%H:%M}")
    page.get_by_label("to", exact=True).fill("2100-01-01T03:00")
    page.get_by_label("to", exact=True).press("Enter")
    page.wait_for_url("**to=2100**")
    page.get_by_label("Reason").fill("the feed is right again")
    click(page.get_by_role("button", name="Retry"))
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.wait_for_url("**/bulkaction/**")


def test_all_that_failed_between_two_and_three_is_run_again(page: Page, site: LiveSite, engine: Engine) -> None:
    later = Engine(site, "Failed later")
    for failing, moment in ((engine, "2024-05-14T02:20:00Z"), (later, "2024-05-14T03:20:00Z")):
        for verb, body in (("start", {"at": moment}), ("fail", {"at": moment, "error_message": "no quotes"})):
            status, answer, _headers = site.call("POST", f"executions/{failing.run}/{verb}/", body, {})
            assert status == 200, answer
    click = Clicks()
    page.goto(site.url(RUNS))
    click(page.get_by_role("group", name="Status").get_by_label("failed"))
    page.get_by_label("Tag", exact=True).press("Enter")
    page.wait_for_url("**status=failed**")
    click(page.get_by_role("navigation", name="All runs that match:").get_by_role("link", name="Run again"))
    page.get_by_label("Which time").select_option("ended")
    page.get_by_label("from").fill("2024-05-14T02:00")
    page.get_by_label("to", exact=True).fill("2024-05-14T03:00")
    page.get_by_label("to", exact=True).press("Enter")
    page.wait_for_url("**time=ended**")
    expect(page.get_by_text("1 run is changed")).to_be_visible()
    page.get_by_label("Reason").fill("the feed is right again")
    click(page.get_by_role("button", name="Run 1 workflow execution again"))
    expect(page.get_by_role("link", name="done: 1")).to_be_visible()
    assert [len(again_of(site, failed.run)) for failed in (engine, later)] == [1, 0]


def again_of(site: LiveSite, run: str) -> list[object]:
    """Return the runs that run this one again."""
    _status, answer, _headers = site.call("GET", f"executions/?rerun_of={run}", None, {})
    found: list[object] = answer["results"]
    return found


def test_what_a_user_did_yesterday(page: Page, site: LiveSite) -> None:
    click = Clicks()
    page.goto(site.url("/admin/"))
    click(page.locator(".site-nav summary"))
    click(page.get_by_role("link", name="Activity", exact=True))
    page.get_by_label("User").fill("admin")
    page.get_by_label("Date").select_option("yesterday")
    click(page.get_by_role("button", name="Apply"))
    chips = page.get_by_role("list", name="Filters in use")
    expect(chips).to_contain_text("admin")
    expect(chips).to_contain_text("Yesterday")
    expect(page.locator("#result_list .field-subject").first).to_contain_text("Nightly prices")
