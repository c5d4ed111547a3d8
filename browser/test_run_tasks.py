"""Tasks of an operator at a run and a workflow, in at most three clicks beside what is typed."""

import re

from playwright.sync_api import Page, expect

from browser.fan_out import make
from browser.live_site import LiveSite
from browser.pages import RUN_PAGE, RUNS
from browser.steps import Steps


class Clicks(Steps):
    def __call__(self, page: Page, role: str, name: str) -> None:
        self.click(page.get_by_role(role, name=name, exact=True).first)  # type: ignore[arg-type]  # a role


def width(page: Page, selector: str) -> float:
    return float(page.locator(selector).evaluate("each => each.getBoundingClientRect().width"))


def test_a_run_is_run_again_with_another_input(page: Page, site: LiveSite) -> None:
    click = Clicks()
    page.goto(site.url("/admin/"))
    click(page, "link", "Nightly prices: Prices KRX")
    click(page, "link", "Run again")
    page.get_by_label("Input").fill('{"day": "2026-11-29", "markets": ["KRX"]}')
    click(page, "button", "Run again")
    expect(page.get_by_text("The new run waits until an engine starts it.")).to_be_visible()
    expect(page.locator(".run-related")).to_contain_text("Nightly prices")
    expect(page.locator(".ledger-payloads").last).to_contain_text("2026-11-29")
    assert click.number == 3


def test_the_link_to_a_line_is_sent_to_a_colleague(page: Page, site: LiveSite) -> None:
    click = Clicks()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    site.open(page, RUNS + "{failed_run}/logs/")
    click(page, "link", "First error")
    row = page.locator(".log-line.is-requested")
    high = row.bounding_box()
    row.hover()
    click.click(row.get_by_role("button", name="Copy the link to this line"))
    expect(row.get_by_role("button", name="Copied")).to_be_visible()
    assert row.bounding_box() == high
    link = page.evaluate("navigator.clipboard.readText()")
    line = row.get_attribute("id")
    page.goto(link)
    expect(page.locator(f"#{line}.is-requested")).to_be_visible()
    assert click.number == 2


def test_the_node_that_got_slower_this_week_is_found(page: Page, site: LiveSite) -> None:
    click = Clicks()
    page.goto(site.url("/admin/"))
    click(page, "link", "Workflows")
    click(page, "link", "Nightly prices")
    section = page.get_by_role("region", name="Slower than the week before")
    slowest = section.get_by_role("row").nth(1)
    expect(slowest.get_by_role("rowheader")).to_have_text("Report")
    expect(slowest.get_by_role("cell").last).to_have_text(re.compile(r"^\d+ % longer$"))
    assert click.number == 2


def test_two_runs_of_the_list_are_compared(page: Page, site: LiveSite) -> None:
    page.goto(site.url(RUNS + "?q=nightly"))
    for box in page.locator(".action-select").all()[:2]:
        box.check()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("heading", name="Compared with another run")).to_be_visible()
    expect(page.get_by_role("heading", name="Input and output of the run")).to_be_visible()


def test_the_graph_is_zoomed_fitted_and_searched(page: Page, site: LiveSite) -> None:
    site.open(page, RUN_PAGE.format(run=site.ids["failed_run"]))
    drawn = width(page, "svg.graph")
    page.get_by_role("button", name="Larger").click()
    assert width(page, "svg.graph") > drawn
    page.get_by_role("button", name="Fit").click()
    assert width(page, "svg.graph") <= width(page, ".graph-scroll")
    page.get_by_role("searchbox", name="Find a node").fill("krx")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Prices KRX: failed")).to_be_focused()


def fan_out(site: LiveSite, number: int) -> str:
    """Return the path of the page of a run with a fan-out of that many equal nodes."""
    return RUN_PAGE.format(run=make(site, number))


def test_a_fan_out_is_opened_and_folded_by_the_keyboard(page: Page, site: LiveSite) -> None:
    site.open(page, fan_out(site, 12))
    box = page.get_by_role("link", name="load_…: 12 equal nodes, folded; 12 pending; after start")
    box.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="load_12: pending, –; after start")).to_be_visible()
    fold = page.get_by_role("link", name="Fold load_1 … load_12 (12)")
    expect(fold).to_be_focused()
    page.keyboard.press("Enter")
    expect(box).to_be_focused()
    page.go_back()
    expect(fold).to_be_visible()


def test_a_selected_node_stays_selected_when_a_fan_out_is_opened_and_folded(page: Page, site: LiveSite) -> None:
    site.open(page, fan_out(site, 6))
    start = page.get_by_role("link", name="start: pending, –", exact=True)
    start.click()
    page.get_by_role("link", name="load_…: 6 equal nodes").click()
    expect(page.get_by_role("link", name="load_6: pending, –; after start")).to_be_visible()
    expect(start).to_have_attribute("aria-current", "true")
    page.reload()
    expect(start).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="load_6: pending, –; after start").click()
    page.get_by_role("link", name="Fold load_1 … load_6 (6)").click()
    expect(page.get_by_role("link", name="load_…: 6 equal nodes")).to_have_attribute("aria-current", "true")


def test_a_folded_box_is_marked_while_one_of_its_nodes_is_selected(page: Page, site: LiveSite) -> None:
    site.open(page, fan_out(site, 6))
    box, table = page.get_by_role("link", name="load_…: 6 equal nodes"), page.locator(".nodes-scroll")
    table.get_by_role("link", name="load_3").click()
    expect(box).to_have_attribute("aria-current", "true")
    page.reload()
    expect(box).to_have_attribute("aria-current", "true")
    table.get_by_role("link", name="start").click()
    expect(page.locator(".node-panel")).to_contain_text("start")
    expect(box).not_to_have_attribute("aria-current", "true")


def test_the_map_of_a_large_graph_moves_it(page: Page, site: LiveSite) -> None:
    site.open(page, fan_out(site, 60) + "?open=all")
    shown = page.locator(".graph-map")
    expect(shown.locator(".map-box").first).to_be_visible()
    outlines = shown.locator(".map-box").evaluate_all("paths => paths.map(path => path.getAttribute('d')).join('')")
    assert outlines.count("M") == 61
    around = shown.bounding_box()
    assert around is not None
    frame = page.locator(".graph-scroll")
    before = frame.evaluate("each => each.scrollTop")
    page.mouse.move(around["x"] + around["width"] / 2, around["y"] + 5)
    page.mouse.down()
    page.mouse.move(around["x"] + around["width"] / 2, around["y"] + around["height"] - 5)
    page.mouse.up()
    assert frame.evaluate("each => each.scrollTop") > before + 500
    seen = shown.locator(".map-seen").bounding_box()
    assert seen is not None
    assert seen["y"] + seen["height"] > around["y"] + around["height"] - 20
    page.set_viewport_size({"width": 375, "height": 800})
    expect(shown).to_be_hidden()
