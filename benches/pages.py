"""Measure the admin's pages in Chromium, over a seeded ledger and a run of 500 nodes and 100,000 log lines.

`python -m benches.pages [--runs 20000] [--rounds 5]` starts the product's own server over a database of its own. Of
each page: milliseconds until the answer began, until the document was read and its scripts had run (from then on it
reacts), until everything was loaded, and until what the page is for was painted; until all its parts are displayed, the
longest task of the page's thread (0 where none takes more than 50 ms), and the sum of what the layout shifted; medians
of the rounds, the first one, which fills the caches, left out. Bytes are packed: of the document, and of all its
assets.
"""

import argparse
import statistics
import sys
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page

from benches.output import out
from browser import chromium
from browser.live_site import ALL_SHOWN, LiveSite, start_site
from browser.pages import PAGES, RUNS, View
from browser.screenshots import signed_in

SKIPPED = {"runs-confirm", "login", "run-delete", "token-new", "api", "tokens"}
NODES, LINES = 500, 100_000

# Runs in the page itself, so that the remote control is not part of the measurement.
TIMES = """() => {
    const [way] = performance.getEntriesByType("navigation");
    const assets = performance.getEntriesByType("resource");
    const seen = performance.getEntriesByName("seen")[0]?.startTime ?? NaN;
    const sum = assets.reduce((total, each) => total + each.encodedBodySize, 0);
    const times = [way.responseStart, way.domContentLoadedEventEnd, way.loadEventEnd, seen, window.longest];
    return [...times, window.shifted, way.encodedBodySize, sum];
}"""
WATCH = """
window.longest = window.shifted = 0;
const watch = (type, take) =>
    new PerformanceObserver(list => list.getEntries().forEach(take)).observe({type, buffered: true});
watch("longtask", entry => { window.longest = Math.max(window.longest, entry.duration); });
watch("layout-shift", entry => { window.shifted += entry.value; });
new MutationObserver((_, watching) => {
    if (!document.querySelector(SHOWS)) return;
    watching.disconnect();
    requestAnimationFrame(() => setTimeout(() => performance.mark("seen")));
}).observe(document, {childList: true, subtree: true});
"""


class Cost(NamedTuple):
    answer: float
    ready: float
    loaded: float
    seen: float
    task: float
    shift: float
    document: float
    assets: float


def main() -> int:
    options = _arguments()
    if (path := chromium.find()) is None:
        sys.stderr.write(f"Nothing was measured: {chromium.MISSING}\n")
        return 1
    seed = ("--runs", options.runs, "--nodes", options.runs * 10, "--lines", options.runs * 10)
    with start_site(tuple(map(str, seed))) as site, chromium.chromium(path) as browser:
        site.ids["large_run"] = site.python("-m", "browser.large_run", str(NODES), str(LINES)).strip()
        out(f"{options.runs:,} runs, ten times as many nodes and lines; {options.rounds} rounds; ms, and bytes packed")
        out(
            f"{'page':<16}{'answer':>8}{'ready':>8}{'loaded':>8}{'seen':>8}{'task':>8}{'shift':>8}{'document':>12}{'assets':>10}"
        )
        for view in _views():
            _show(view, _measure(browser, site, view, options.rounds))
    return 0


def _views() -> list[View]:
    large = View("run of 500", f"{RUNS}{{large_run}}/change/", "svg.graph")
    its_log = View("log of 100,000", f"{RUNS}{{large_run}}/logs/", ".log-lines li")
    return [*(view for view in PAGES if view.name not in SKIPPED), large, its_log]


def _measure(browser: Browser, site: LiveSite, view: View, rounds: int) -> Cost:
    context = browser.new_context(storage_state=signed_in(browser, site), viewport={"width": 1360, "height": 900})
    context.add_init_script(WATCH.replace("SHOWS", repr(view.shows)))
    page = context.new_page()
    costs = [_once(page, site.url(view.path)) for _ in range(rounds + 1)][1:]
    context.close()
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


def _once(page: Page, address: str) -> Cost:
    page.goto(address)
    page.wait_for_function("performance.getEntriesByName('seen').length")
    page.wait_for_function(ALL_SHOWN)
    return Cost(*page.evaluate(TIMES))


def _show(view: View, cost: Cost) -> None:
    times = "".join(f"{each:>8.0f}" for each in cost[:5])
    out(f"{view.name:<16}{times}{cost.shift:>8.3f}{cost.document:>12,.0f}{cost.assets:>10,.0f}")


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description="What the admin's pages cost in Chromium.")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
