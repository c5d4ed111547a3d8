"""Tables on a phone: each row is a card, and each value stands after the label of its column."""

from collections import Counter
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.axe import PHONE, WIDE
from browser.live_site import LiveSite
from browser.pages import PAGES, RUNS, View

TABLES = [
    view
    for view in PAGES
    if view.name in {"nodes", "lines", "workflows", "tokens", "changes", "workflow-changes", "users", "groups", "run"}
]
LISTS = [view for view in PAGES if view.name in {"runs", "runs-failed", "nodes", "lines", "workflows", "error-groups"}]
FORMS = [view for view in PAGES if view.name in {"password", "token", "token-new", "workflow-edit"}]
# Fields, labels and hints that end beyond their row, which cuts them off.
CUT_OFF = """
() => [...document.querySelectorAll(".form-row :is(input, textarea, select, .select2, label, .help, .readonly)")]
    .filter(each => each.checkVisibility())
    .filter(each => each.getBoundingClientRect().right > each.closest(".form-row").getBoundingClientRect().right + 0.5)
    .map(each => each.outerHTML.slice(0, 120))
"""
ROLES = {"table", "row", "cell", "columnheader", "rowheader"}
# Cells in sight that show neither a label nor what needs none: a heading, a checkbox, a status, a message, a time.
UNLABELLED = """
() => [...document.querySelectorAll(":is(#result_list, .ledger-rows) tbody td")]
    .filter(cell => cell.checkVisibility() && getComputedStyle(cell).clipPath === "none")
    .filter(cell => !cell.matches(".action-checkbox, .wide, .time, .ledger-log .node, :has(> div)"))
    .filter(cell => !cell.querySelector(":scope > :is(.status, .level)"))
    .filter(cell => !/[^-–—\\s]/.test(cell.textContent) && !cell.querySelector("img")
        || getComputedStyle(cell, "::before").content.length < 5)
    .map(cell => cell.outerHTML.slice(0, 120))
"""


@pytest.mark.parametrize("view", TABLES, ids=lambda view: view.name)
def test_each_value_of_a_row_has_its_label_on_a_phone(view: View, page: Page, site: LiveSite) -> None:
    page.set_viewport_size(WIDE)
    site.show(page, view)
    expect(page.locator(view.shows).first).to_be_visible()
    roles = roles_of(page)
    page.set_viewport_size(PHONE)
    assert page.evaluate(UNLABELLED) == []
    assert roles_of(page) == roles


def roles_of(page: Page) -> Counter[str]:
    """Return how many elements of each role of tables a screen reader finds."""
    session = page.context.new_cdp_session(page)
    nodes: list[Any] = session.send("Accessibility.getFullAXTree")["nodes"]
    return Counter(node["role"]["value"] for node in nodes if node["role"]["value"] in ROLES and not node["ignored"])


@pytest.mark.parametrize("view", LISTS, ids=lambda view: view.name)
def test_rows_of_a_list_are_in_sight_on_a_phone(view: View, page: Page, site: LiveSite) -> None:
    page.set_viewport_size(PHONE)
    site.show(page, view)
    expect(page.locator("#result_list tbody tr").first).to_be_in_viewport()


def test_filters_are_unfolded_and_used_on_a_phone(page: Page, site: LiveSite) -> None:
    page.set_viewport_size(PHONE)
    site.open(page, RUNS)
    tag = page.get_by_label("Tag", exact=True)
    expect(tag).to_be_hidden()
    page.get_by_role("checkbox", name="Filters").check()
    tag.fill("nightly")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".filter-chips")).to_contain_text("nightly")
    expect(tag).to_be_hidden()


def test_actions_for_selected_rows_are_in_reach_on_a_phone(page: Page, site: LiveSite) -> None:
    page.set_viewport_size(PHONE)
    site.open(page, RUNS)
    keep, row = page.get_by_role("button", name="Keep", exact=True), page.locator("#result_list tbody tr").first
    expect(keep).to_be_hidden()
    before = row.bounding_box()
    row.locator(".action-select").check()
    expect(keep).to_be_in_viewport()
    assert row.bounding_box() == before
    keep.click()
    expect(page.locator(".confirm-form, .messagelist")).to_be_visible()


@pytest.mark.parametrize("view", FORMS, ids=lambda view: view.name)
def test_no_field_of_a_form_is_cut_off_on_a_phone(view: View, page: Page, site: LiveSite) -> None:
    page.set_viewport_size(PHONE)
    site.show(page, view)
    assert page.locator("#content .form-row").count() > 1
    assert page.evaluate(CUT_OFF) == []
