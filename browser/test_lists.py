"""Saved views, the grid of a workflow and the keyboard shortcuts."""

import json
import re
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect

from browser.engine import Engine
from browser.live_site import LiveSite
from browser.pages import RUN_PAGE, RUNS

RECENT = "pastetrader.recent"


def test_a_view_of_the_list_is_saved_and_shared(
    page: Page, opened: Callable[..., BrowserContext], session: StorageState, site: LiveSite
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


def test_the_filters_after_the_browsers_back_are_those_of_the_address(page: Page, site: LiveSite) -> None:
    page.goto(site.url(f"{RUNS}?status=failed"))
    form = page.get_by_role("search", name="Filters")
    form.get_by_label("cancelled", exact=True).check()
    form.get_by_role("button", name="Apply").click()
    page.wait_for_url("**status=failed%2Ccancelled")
    page.go_back()
    expect(page).to_have_url(site.url(f"{RUNS}?status=failed"))
    expect(form.get_by_label("failed", exact=True)).to_be_checked()
    expect(form.get_by_label("cancelled", exact=True)).not_to_be_checked()


@pytest.fixture
def flows(site: LiveSite) -> Iterator[list[str]]:
    """Eight workflows whose names have a word in common."""
    made = [site.call("POST", "workflows/", {"name": f"Filtered flow {number}"}, {})[1] for number in range(8)]
    yield [each["name"] for each in made]
    for each in made:
        site.call("DELETE", f"workflows/{each['id']}/", None, {})


@pytest.mark.usefixtures("flows")
def test_a_workflow_is_found_in_the_filter_as_its_name_is_typed_without_a_request(page: Page, site: LiveSite) -> None:
    """The tests of this server made more workflows than a page offers: it offers these, as if they were all."""
    page.goto(site.url(f"{RUNS}?find_workflow=Filtered flow"))
    form = page.get_by_role("search", name="Filters")
    menu = form.locator("details", has=page.locator("#find-workflow"))
    page.locator("#find-workflow").evaluate("each => { each.dataset.all = ''; each.closest('details').open = false; }")
    menu.locator("summary").click()
    expect(form.get_by_role("searchbox", name="Find a workflow by its name")).to_be_focused()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    form.get_by_role("searchbox").fill("FLOW 3")
    expect(menu.locator(".filter-options > li:visible")).to_have_text(re.compile("Filtered flow 3"))
    menu.get_by_label("Filtered flow 3", exact=True).check()
    form.get_by_role("searchbox").fill("flow 5")
    expect(menu.locator(".filter-options > li:visible")).to_have_count(2)  # what is chosen stays
    form.get_by_role("searchbox").fill("")
    expect(menu.get_by_label("Filtered flow 0", exact=True)).to_be_visible()
    assert [url for url in asked if "find_workflow" in url] == []
    form.get_by_role("searchbox").fill("no such flow")
    expect(menu.get_by_text("No workflow has “no such flow” in its name.")).to_be_visible()
    expect(menu.get_by_label("Filtered flow 3", exact=True)).to_be_checked()


def test_the_grid_of_a_workflow_leads_to_the_node_of_a_run(page: Page, site: LiveSite) -> None:
    page.goto(site.url("/admin/workflows/workflow/{workflow}/"))
    page.locator("td.status-failed a").first.click()
    expect(page.get_by_role("complementary", name="Prices KRX")).to_be_visible()


def test_a_question_mark_lists_the_keys(page: Page, site: LiveSite) -> None:
    page.goto(site.url(RUNS))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("#result_list tbody tr a:focus")).to_have_count(1)
    page.keyboard.press("x")
    expect(page.locator("#result_list tr.selected")).to_have_count(1)
    page.keyboard.press("x")
    expect(page.locator("#result_list tr.selected")).to_have_count(0)
    page.keyboard.press("Enter")
    page.wait_for_url("**/change/**")


def test_the_palette_finds_a_run_by_the_keyboard_alone(page: Page, site: LiveSite) -> None:
    page.goto(site.url(f"{RUNS}?status=failed"))
    page.goto(site.url("/admin/"))
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Search everything")
    expect(palette.get_by_role("option").filter(has_text="Recent").first).to_contain_text("Workflow executions: failed")
    page.keyboard.type(site.ids["failed_run"][:8])
    expect(palette.get_by_role("option", selected=True)).to_contain_text(site.ids["failed_run"][:8])
    expect(palette.get_by_role("option", selected=True)).to_contain_text("Workflow execution")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/change/**")
    page.keyboard.press("Control+k")
    expect(palette).to_be_visible()
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()


def test_recent_pages_are_those_of_one_user_and_go_with_the_logout(
    browser: Browser, site: LiveSite, session: StorageState
) -> None:
    with browser.new_context(storage_state=session) as context:
        page = context.new_page()
        page.goto(site.url(f"{RUNS}?status=failed"))
        kept = page.evaluate(f"localStorage.getItem('{RECENT}')")
        assert "status=failed" in kept
        of_another = kept.replace(f'"user":"{json.loads(kept)["user"]}"', '"user":"0"')
        page.evaluate(f"text => localStorage.setItem('{RECENT}', text)", of_another)
        page.goto(site.url("/admin/"))
        page.keyboard.press("Control+k")
        palette = page.get_by_role("dialog", name="Search everything")
        expect(palette.get_by_role("option").first).to_be_visible()
        expect(palette.get_by_role("option").filter(has_text="Recent")).to_have_count(0)
        assert "status=failed" not in page.evaluate(f"localStorage.getItem('{RECENT}')")
        page.evaluate("document.getElementById('logout-form').addEventListener('submit', (e) => e.preventDefault())")
        page.evaluate("document.getElementById('logout-form').requestSubmit()")  # the session is that of other tests
        assert page.evaluate(f"localStorage.getItem('{RECENT}')") is None


def test_the_palette_says_when_nothing_has_the_name_or_id(page: Page, site: LiveSite) -> None:
    page.goto(site.url(f"{RUNS}find/?q=zzzz+nonsense"))
    page.goto(site.url("/admin/"))
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Search everything")
    nothing = palette.get_by_text("Nothing has this name or id. Search in texts:")
    page.keyboard.type("zzzz nonsense")
    expect(nothing).to_be_visible()
    expect(palette.get_by_role("option").filter(has_text="List")).to_have_count(2)
    expect(palette.get_by_role("option").filter(has_text="Recent")).to_have_text("Recent Search: zzzz nonsense")
    palette.get_by_role("combobox").fill(site.ids["failed_run"][:8])
    expect(palette.get_by_role("option", selected=True)).to_contain_text("Workflow execution")
    expect(nothing).to_be_hidden()


def test_the_palette_does_what_the_page_can_do_and_asks_as_always(page: Page, site: LiveSite, engine: Engine) -> None:
    page.goto(site.url(RUN_PAGE.format(run=engine.run)))
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Search everything")
    expect(palette.get_by_role("option", selected=True)).not_to_contain_text("Action")  # Enter alone changes nothing
    page.keyboard.type("cancel run")
    expect(palette.get_by_role("option", selected=True)).to_contain_text("Cancel: this run")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancel 1 workflow execution")
    expect(page.get_by_label("Reason")).to_be_visible()
    assert status_of(site, engine.run) == "pending"


def status_of(site: LiveSite, run: str) -> object:
    return site.call("GET", f"executions/{run}/", None, {})[1]["status"]


def test_the_palette_starts_a_workflow_and_exports_a_list(page: Page, site: LiveSite, engine: Engine) -> None:
    page.goto(site.url(f"{RUNS}?status=failed"))
    palette = page.get_by_role("dialog", name="Search everything")
    page.keyboard.press("Control+k")
    page.keyboard.type("export csv")
    expect(palette.get_by_role("option", selected=True)).to_contain_text("Export this list as CSV")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".csv")
    page.keyboard.press("Control+k")
    page.keyboard.type("start nightly")
    palette.get_by_role("option").filter(has_text="Start Nightly prices").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Start Nightly prices")
