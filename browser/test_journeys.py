"""Journeys of staff through the admin."""

import json
from collections.abc import Callable
from uuid import uuid4

from playwright.sync_api import BrowserContext, Page, StorageState, expect

from browser.engine import Engine
from browser.guard import Guard
from browser.live_site import LiveSite
from browser.pages import NODE_PAGE, RUN_PAGE, RUNS
from browser.screenshots import log_in


def test_staff_log_in_and_land_on_the_monitor(stranger: Page, site: LiveSite) -> None:
    log_in(stranger, site)
    expect(stranger).to_have_url(site.url("/admin/"))
    expect(stranger.get_by_role("heading", name="Errors of the last 24 hours")).to_be_visible()


def test_a_wrong_password_is_told_and_opens_nothing(stranger: Page, site: LiveSite) -> None:
    stranger.goto(site.url(RUNS))
    stranger.get_by_label("Username").fill("admin")
    stranger.get_by_label("Password").fill("not this one")
    stranger.get_by_role("button", name="Log in").click()
    expect(stranger.get_by_text("Please enter the correct username and password")).to_be_visible()
    expect(stranger.locator("#result_list")).to_have_count(0)


def test_a_workflow_is_found_by_its_name_and_its_chip_taken_away(page: Page, site: LiveSite) -> None:
    page.goto(site.url(RUNS + "?status=completed&find_workflow=no such name"))
    search = page.get_by_role("searchbox", name="Find a workflow by its name")
    expect(page.get_by_text("No workflow has “no such name” in its name.")).to_be_visible()
    search.fill("NIGHTLY pri")
    address = page.url
    page.keyboard.press("Enter")
    expect(page.get_by_text("No workflow has “no such name” in its name.")).to_have_count(0)
    assert page.url == address
    page.get_by_role("checkbox", name="Nightly prices", exact=True).check()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Apply").click()
    chips = page.get_by_role("list", name="Filters in use").get_by_role("listitem")
    expect(chips).to_have_text(["status: completed ✕", "workflow: Nightly prices ✕", "Clear all filters"])
    page.get_by_role("link", name="Remove the filter workflow: Nightly prices").click()
    expect(chips).to_have_text(["status: completed ✕"])


def test_a_run_is_cancelled_with_a_reason_and_its_engine_is_told(page: Page, site: LiveSite, engine: Engine) -> None:
    engine("start", "run")
    engine("start", "Load")
    page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    page.get_by_role("button", name="Cancel", exact=True).click()
    # Enter in the reason acts on nothing, and goes nowhere.
    page.get_by_label("Reason").fill("the prices of yesterday")
    page.keyboard.press("Enter")
    page.get_by_label("Reason").press_sequentially("are wrong")
    expect(page.get_by_role("heading", name="Cancel 1 workflow execution")).to_be_visible()
    page.get_by_role("button", name="Cancel 1 workflow execution").click()
    expect(page.get_by_text("Cancelled 1 workflow execution.")).to_be_visible()
    expect(page.locator(".ledger-head").first).to_contain_text("cancelled")
    entry = page.locator(".ledger-history tr").filter(has_text="the prices of yesterday are wrong").first
    expect(entry).to_contain_text("admin")
    status, refusal = engine("complete", "Load")
    assert (status, refusal["current_state"]) == (409, "cancelled")


def test_a_failed_node_is_retried_with_a_reason(page: Page, site: LiveSite, engine: Engine) -> None:
    for verb, what in (("start", "run"), ("start", "Load"), ("fail", "Load")):
        assert engine(verb, what)[0] == 200
    page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    page.get_by_role("link", name="Load: failed").click()
    page.get_by_role("link", name="Its own page").click()
    expect(page.locator(".ledger-error")).to_contain_text("line 409 is cut off")
    page.get_by_role("button", name="Retry", exact=True).click()
    page.get_by_label("Reason").fill("the file is whole by now")
    page.get_by_role("button", name="Retry 1 node execution").click()
    expect(page.get_by_text("Put 1 node execution back to pending.")).to_be_visible()
    expect(page.get_by_text("Attempt 1")).to_be_visible()
    assert engine("start", "Load")[0] == 200
    page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    expect(page.locator(".ledger-history").get_by_text("the file is whole by now")).to_be_visible()


def test_a_run_whose_engine_is_gone_is_brought_to_an_end(page: Page, site: LiveSite, engine: Engine) -> None:
    engine("start", "run")
    page.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    page.get_by_role("button", name="Mark as failed").click()
    page.get_by_label("Reason:").fill("   ")
    page.get_by_role("button", name="Mark 1 workflow execution as failed").click()
    expect(page.get_by_text("give a reason, which becomes the error of the run")).to_be_visible()
    page.get_by_label("Reason:").fill("engine-2 was switched off")
    page.get_by_role("button", name="Mark 1 workflow execution as failed").click()
    expect(page.locator(".ledger-error")).to_contain_text("engine-2 was switched off")


def test_an_error_is_found_among_the_lines(page: Page, site: LiveSite) -> None:
    page.goto(site.url("/admin/executions/executionlog/?workflow_execution={failed_run}"))
    page.get_by_role("checkbox", name="error", exact=True).check()
    page.get_by_role("button", name="Apply").click()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(3)
    rows.first.get_by_role("link").first.click()
    expect(page.get_by_text("end after their header: 0 of 953 rows").last).to_be_visible()


def test_a_pasted_id_leads_to_its_page(page: Page, site: LiveSite) -> None:
    for name, path in (("failed_run", RUN_PAGE), ("failed_node", NODE_PAGE)):
        page.goto(site.url("/admin/"))
        page.get_by_role("searchbox").fill(site.ids[name])
        page.keyboard.press("Enter")
        expect(page).to_have_url(site.url(path.format(run=site.ids[name], node=site.ids[name])))


def test_what_is_filtered_stands_in_the_address_and_can_be_shared(
    page: Page, opened: Callable[..., BrowserContext], session: StorageState, site: LiveSite
) -> None:
    page.goto(site.url(RUNS))
    page.get_by_role("checkbox", name="failed", exact=True).check()
    page.locator("summary").filter(has_text="Trigger:").click()
    page.get_by_role("checkbox", name="Leave event out").check()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**not_trigger_type=event**")
    rows = page.locator("#result_list tbody tr")
    assert {text.strip() for text in rows.locator(".status").all_inner_texts()} == {"failed"}
    assert "event" not in "".join(rows.all_inner_texts())

    colleague = opened(storage_state=session).new_page()
    colleague.goto(page.url)
    assert run_ids(colleague) == run_ids(page)  # not the texts: "17 hours ago" may be 18 by now


def run_ids(page: Page) -> list[str | None]:
    return [box.get_attribute("value") for box in page.locator("#result_list .action-select").all()]


def test_a_node_is_chosen_by_the_keyboard_and_closed_again(page: Page, site: LiveSite) -> None:
    page.goto(site.url(RUN_PAGE.format(run=site.ids["failed_run"])))
    page.get_by_role("link", name="Prices KRX: failed").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name="Prices KRX")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary", name="Prices KRX")).to_have_count(0)
    expect(page.locator('[aria-current="true"]')).to_have_count(0)


def test_a_token_is_shown_once(page: Page, site: LiveSite) -> None:
    page.goto(site.url("/admin/tokens/token/add/"))
    name = f"engine of the browser's tests, {uuid4()}"  # a test may be repeated
    page.get_by_label("Name:").fill(name)
    page.get_by_label("read executions").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Copy the token now: it is never shown again.")).to_be_visible()
    secret = page.locator("code").first.inner_text()
    assert secret.startswith("ptl_")
    page.get_by_role("link", name="Back to the tokens").click()
    page.get_by_role("link", name=name).click()
    expect(page.get_by_text(name).last).to_be_visible()
    assert secret not in page.content()


def test_the_api_is_tried_from_its_own_docs(page: Page, site: LiveSite) -> None:
    page.goto(site.url("/api/v1/docs/"))
    operation = page.locator("#operations-executions-listExecutions")
    operation.get_by_role("button", name="GET").first.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response .response-col_status")).to_contain_text("200")


def test_what_is_not_there_is_told_where_it_is_looked_for(page: Page, site: LiveSite, guards: list[Guard]) -> None:
    guards[0].expected = {404}
    page.goto(site.url(RUN_PAGE.format(run=site.ids["failed_node"])))
    expect(page.get_by_text("Nothing has this id, or you may not see it:")).to_be_visible()
    page.locator("#content-main").get_by_role("link").click()
    expect(page.locator("#result_list tbody tr").first).to_be_visible()


def test_every_act_works_without_javascript(plain: Page, site: LiveSite, engine: Engine) -> None:
    for verb, what in (("start", "run"), ("start", "Load"), ("fail", "Load")):
        engine(verb, what)
    plain.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    plain.get_by_role("link", name="Load: failed").click()
    expect(plain.locator(".node-panel").get_by_text("line 409 is cut off").first).to_be_visible()
    plain.get_by_role("link", name="Its own page").click()
    plain.get_by_role("button", name="Retry", exact=True).click()
    plain.get_by_role("button", name="Retry 1 node execution").click()
    expect(plain.locator(".ledger-head").first).to_contain_text("pending")
    plain.goto(site.url(RUN_PAGE.format(run=engine.ids["run"])))
    plain.get_by_role("button", name="Cancel", exact=True).click()
    plain.get_by_label("Reason").fill("no longer wanted")
    plain.get_by_role("button", name="Cancel 1 workflow execution").click()
    expect(plain.get_by_text("Cancelled 1 workflow execution.")).to_be_visible()
    expect(plain.locator(".ledger-history").get_by_text("no longer wanted").first).to_be_visible()


def test_a_workflow_of_500_nodes_is_edited_looked_at_and_saved(page: Page, site: LiveSite) -> None:
    page.goto(site.url("/admin/workflows/workflow/add/"))
    page.get_by_label("Name").first.fill("Five hundred")
    nodes = [{"name": f"node {number}", "node_type": "tool"} for number in range(500)]
    edges = [{"source_node": f"node {number // 2}", "target_node": f"node {number}"} for number in range(1, 500)]
    text = page.get_by_role("textbox", name="Graph")
    text.fill(json.dumps({"nodes": nodes, "edges": [*edges, {"source_node": "node 499", "target_node": "node 0"}]}))
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#id_graph_error")).to_contain_text("The edges form a cycle: node 0 → node 1")

    text.fill(json.dumps({"nodes": nodes, "edges": edges}))
    page.get_by_label("New node").fill("the last one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Preview: nothing is saved yet")).to_be_visible()
    expect(page.get_by_text("501 nodes")).to_be_visible()
    expect(page.locator("#graph-preview .box")).to_have_count(501)
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    saved = text.input_value()
    assert len(saved.splitlines()) < 1_020
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("Nothing was changed.")).to_be_visible()
    assert text.input_value() == saved
