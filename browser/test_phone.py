"""Tables on a phone: each row is a card, and each value stands after the label of its column."""

from collections import Counter
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.axe import PHONE, WIDE
from browser.live_site import LiveSite
from browser.pages import PAGES, View

TABLES = [
    view
    for view in PAGES
    if view.name in {"nodes", "lines", "workflows", "tokens", "changes", "workflow-changes", "users", "groups", "run"}
]
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
