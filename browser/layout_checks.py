"""Checks of a page's layout: each link, button and field takes its own click, nothing moves while the page is loaded,
and it is no wider than its window."""

from playwright.sync_api import Page, expect

from browser.live_site import LiveSite
from browser.pages import View
from pastetrader.tests import proofs

WIDTHS = (1440, 1024, 640, 375)  # 640 is what 200 % zoom leaves of 1280
LOADED = WIDTHS if proofs.LONG else (1440, 375)  # a page that is 1440 wide is narrowed instead of being loaded anew
HEIGHT = 900
MOST_SHIFT = 0.05

# Runs before the page's own scripts.
WATCH_SHIFTS = """
window.shifts = 0;
new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""
# What covers what: for each element that takes clicks, the points at which another one would take them.
PROBE = """
() => {
    const inset = 2, faults = [];
    const takes = "a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button]";
    const words = element => (element.textContent || element.value || "").trim().slice(0, 30);
    const named = element =>
        `${element.tagName.toLowerCase()} ${element.id && "#" + element.id} ${element.className} "${words(element)}"`;
    const known = new Map();  // elements have most of their ancestors in common
    const hides = element => {
        if (!known.has(element)) known.set(element, element.matches(".visually-hidden") || isClipped(element));
        return known.get(element);
    };
    const isClipped = element => getComputedStyle(element).clipPath !== "none"
        || element.parentElement !== null && hides(element.parentElement);
    const isInTheMiddle = ({left, right, top, bottom}) =>
        left >= 0 && right <= innerWidth && top >= innerHeight / 4 && bottom <= innerHeight * 3 / 4;
    const coversOf = element => {
        const boxes = [...element.getClientRects()].filter(box => Math.min(box.width, box.height) > 2 * inset);
        const label = element.labels && element.labels[0], covers = [];
        for (const box of boxes.slice(0, 3)) {
            const points = [
                [(box.left + box.right) / 2, (box.top + box.bottom) / 2],
                [box.left + inset, box.top + inset], [box.right - inset, box.top + inset],
                [box.left + inset, box.bottom - inset], [box.right - inset, box.bottom - inset],
            ];
            for (const [x, y] of points) {
                if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) continue;
                const hit = document.elementFromPoint(x, y);
                if (!hit || hit === element || element.contains(hit) || hit.contains(element)) continue;
                if (label && (label === hit || label.contains(hit))) continue;
                covers.push(`${named(element)} is covered by ${named(hit)} at ${Math.round(x)}, ${Math.round(y)}`);
            }
        }
        return covers;
    };
    for (const element of document.querySelectorAll(takes)) {
        if (!element.checkVisibility({visibilityProperty: true, opacityProperty: true}) || element.disabled) continue;
        if (isClipped(element) || element.matches(".skip-to-content-link")) continue;
        if (isInTheMiddle(element.getBoundingClientRect()) && !coversOf(element).length) continue;
        element.scrollIntoView({block: "center", inline: "center"});
        faults.push(...coversOf(element));
    }
    return faults;
}
"""
# The rules for a new width apply in the frame after it.
SETTLED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def load(page: Page, view: View, site: LiveSite) -> list[str]:
    """Load a view in a page with WATCH_SHIFTS, and return what moved without a click."""
    shift = min_shift(page, view, site)
    return [f"it shifts by {shift:.3f}"] if shift > MOST_SHIFT else []


def min_shift(page: Page, view: View, site: LiveSite) -> float:
    """Return the least shift of up to three loads: a busy machine paints half a page, but scripts move it each time."""
    shift = MOST_SHIFT + 1
    for _load in range(3):
        if shift > MOST_SHIFT:
            site.show(page, view)
            expect(page.locator(view.shows).first).to_be_visible()
            shift = min(shift, float(page.evaluate("window.shifts")))
    return shift


def faults_of(page: Page) -> list[str]:
    """Return what is too wide or covered at each width that this load stands for; the page's own width is the last."""
    assert page.viewport_size is not None
    own = page.viewport_size["width"]
    narrowed = [width for width in WIDTHS if width not in LOADED] if own == max(WIDTHS) else []
    return [f"{width} wide: {fault}" for width in (*narrowed, own) for fault in _faults_at(page, width)]


def _faults_at(page: Page, width: int) -> list[str]:
    page.set_viewport_size({"width": width, "height": HEIGHT})
    page.evaluate(SETTLED)
    wider = page.evaluate(WIDER)
    return [*([f"it is {wider} px too wide"] if wider > 0 else []), *page.evaluate(PROBE)]
