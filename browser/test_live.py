"""Pages that live: what another process does comes in by itself; what one found can be shared."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, StorageState, expect

from browser.engine import Engine
from browser.pages import RUN_PAGE, RUNS
from browser.stage import Stage

pytestmark = pytest.mark.xdist_group("browser")


def test_the_page_of_a_run_follows_its_engine_by_itself(page: Page, site: Stage, engine: Engine) -> None:
    engine("start", "run")
    page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    head = page.locator(".ledger-head").first
    expect(head).to_contain_text("running")
    engine("start", "Load")
    expect(page.get_by_role("link", name="Load: running")).to_be_visible()
    engine("log", "2368 rows are here")
    expect(page.get_by_text("2368 rows are here").first).to_be_visible()
    engine("fail", "Load")
    expect(page.get_by_role("link", name="Load: failed")).to_be_visible()
    engine("fail", "run")
    expect(head).to_contain_text("failed")


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


def test_a_line_is_found_among_the_others(page: Page, site: Stage) -> None:
    page.goto(site.url(f"{RUNS}{{failed_run}}/logs/"))
    page.get_by_label("Search").fill("0 of 953")
    page.keyboard.press("Enter")
    expect(page.locator("#log mark").first).to_be_visible()
    page.get_by_role("link", name="First error").click()
    expect(page.locator(".line-error").first).to_be_in_viewport()


def test_a_view_of_the_list_is_saved_and_shared(
    page: Page, opened: Callable[..., BrowserContext], session: StorageState, site: Stage
) -> None:
    page.goto(site.url(f"{RUNS}?status=failed&not_trigger_type=event"))
    page.get_by_text("Save as a view").click()
    form = page.locator("details.view-form[open]")
    form.get_by_label("Name").fill("Failures that no event began")
    form.get_by_label(re.compile("share", re.IGNORECASE)).check()
    form.get_by_role("button", name="Save").click()
    view = page.get_by_role("navigation", name="Saved views").get_by_role("link", name="Failures that no event began")
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
    page.goto(site.url(f"{RUNS}{engine.ids['run']}/delete/"))
    page.get_by_label(re.compile("reason", re.IGNORECASE)).fill("it was made by mistake")
    page.get_by_role("button", name=re.compile("delete|sure", re.IGNORECASE)).click()
    page.goto(site.url("/admin/executions/deletion/"))
    expect(page.get_by_text("it was made by mistake")).to_be_visible()
