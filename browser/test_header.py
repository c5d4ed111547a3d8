"""The header of every page: one line from 1,024 px on, whatever it names."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, StorageState, expect

from browser.live_site import LiveSite
from browser.pages import RUNS

WIDTHS = (1024, 1100, 1280, 1440)
LONG_ZONE = "America/Argentina/ComodRivadavia"
ADDRESSES = (RUNS, "/admin/alerts/delivery/", "/admin/password_change/")  # one of the row, one from behind "More"

# Parts of the header that are not beside each other: below the first, over the next one, or outside.
FAULTS = """
() => {
    const all = "#branding, .site-nav > ul > li, #user-tools > *, .language, a.time-zone";
    const parts = [...document.querySelectorAll(all)]
        .filter(part => part.checkVisibility({visibilityProperty: true}));
    const boxes = parts.map(part => [part, part.getBoundingClientRect()]);
    const named = part => part.textContent.trim().split("\\n")[0];
    const faults = [];
    const middle = boxes[0][1].top + boxes[0][1].height / 2;
    boxes.forEach(([part, box], place) => {
        if (box.top > middle || box.bottom < middle) faults.push(`${named(part)} is on another line`);
        if (place && box.left < boxes[place - 1][1].right - 1) faults.push(`${named(part)} covers what is before it`);
        if (box.right > innerWidth) faults.push(`${named(part)} is outside`);
    });
    const height = document.getElementById("header").getBoundingClientRect().height;
    return height > 48 ? [...faults, `it is ${height} px high`] : faults;
}
"""


@pytest.mark.parametrize("locale", ["en-GB", "ko-KR"])
def test_the_header_is_one_line_from_1024_px_on(
    locale: str, opened: Callable[..., BrowserContext], session: StorageState, site: LiveSite
) -> None:
    page = opened(locale=locale, storage_state=session).new_page()
    faults = faults_of(page, site, "UTC")
    page.goto(site.url("/admin/time-zone/"))
    page.locator("#time-zone").select_option(LONG_ZONE)
    page.locator(".time-zones button[type=submit]").first.click()
    faults += faults_of(page, site, LONG_ZONE)
    assert not faults, "\n".join(faults)


def faults_of(page: Page, site: LiveSite, zone: str) -> list[str]:
    faults = []
    for address in ADDRESSES:
        site.open(page, address)
        expect(page.locator("a.time-zone")).to_contain_text(zone)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            faults += [f"{address} at {width} in {zone}: {fault}" for fault in page.evaluate(FAULTS)]
    return faults


def test_a_user_logs_out_by_the_menu_of_the_name_without_scripts(plain: Page, site: LiveSite) -> None:
    plain.goto(site.url(RUNS))
    expect(plain.get_by_role("button", name="Log out")).to_be_hidden()
    plain.locator(".site-account summary").click()
    expect(plain.get_by_role("link", name="Change password")).to_be_visible()
    expect(plain.get_by_role("button", name="Log out")).to_be_visible()


def test_escape_closes_a_menu_of_the_header_and_so_does_a_click_beside_it(page: Page, site: LiveSite) -> None:
    site.open(page, RUNS)
    for menu in (page.locator(".site-nav details"), page.locator(".site-account")):
        summary = menu.locator("summary")
        summary.click()
        menu.get_by_role("link").first.focus()
        page.keyboard.press("Escape")
        expect(menu).not_to_have_attribute("open", "")
        expect(summary).to_be_focused()
    page.locator(".site-account summary").click()
    page.locator("#content").click(position={"x": 2, "y": 2})
    expect(page.locator(".site-account")).not_to_have_attribute("open", "")


def test_single_keys_do_nothing_while_a_menu_is_open(page: Page, site: LiveSite) -> None:
    site.open(page, RUNS)
    filters = page.locator("details.filter-menu").first
    for menu in (filters, page.locator(".site-account")):
        menu.locator("summary").click()
        page.keyboard.type("jx?")
        expect(menu).to_have_attribute("open", "")
        expect(page.locator("#result_list tr.selected")).to_have_count(0)
        expect(page.locator("#result_list a:focus")).to_have_count(0)
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.keyboard.press("Escape")
        expect(menu.locator("summary")).to_be_focused()
    page.keyboard.type("jx")
    expect(page.locator("#result_list tr.selected")).to_have_count(1)
