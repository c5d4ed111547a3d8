"""Is this failure new, or yesterday's again: how many clicks it takes to know."""

from playwright.sync_api import Page, expect

from browser.live_site import LiveSite
from browser.steps import Steps


def test_one_click_tells_that_a_failure_is_new(page: Page, site: LiveSite) -> None:
    steps = Steps()
    page.goto(site.url("/admin/"))
    steps.click(page.get_by_role("link", name="Nightly prices: Prices KRX"))
    trouble = page.locator(".ledger-error").first
    expect(trouble.get_by_text("No failure like this was seen before.")).to_be_visible()
    assert steps.number == 1


def test_two_clicks_lead_from_the_front_page_to_all_failures_of_a_group(page: Page, site: LiveSite) -> None:
    steps = Steps()
    page.goto(site.url("/admin/"))
    errors = page.get_by_role("region", name="Errors of the last 24 hours, new ones first")
    expect(errors.get_by_role("row").nth(1)).to_be_visible()
    steps.click(errors.get_by_role("link", name="TruncatedFile"))
    expect(page.get_by_role("heading", name="Failures by day")).to_be_visible()
    expect(page.get_by_text("nightly/prices.py: parse")).to_be_visible()
    steps.click(page.get_by_role("link", name="Nightly prices: Prices KRX"))
    expect(page.get_by_role("complementary", name="Prices KRX")).to_be_visible()
    assert steps.number == 2
