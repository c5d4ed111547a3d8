"""The streams, the clock and the visibility of a page in tests."""

import time
from collections.abc import Callable

from playwright.sync_api import Locator, Page, Request


def turn_clock_until(page: Page, check: Callable[..., None]) -> None:
    """Let a second pass for the scripts of the page again and again, until `check` of an expectation passes."""
    deadline = time.monotonic() + 30
    while True:
        page.clock.run_for(1_000)
        try:
            return check(timeout=250)
        except AssertionError:
            if time.monotonic() > deadline:
                raise


def stream_of(request: Request) -> bool:
    return "/stream/" in request.url and "wait=0" not in request.url


def hide(page: Page, *, hidden: bool) -> None:
    """Make the page believe that another tab is active: a headless browser has none to switch to."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def lost(page: Page, kind: str) -> Locator:
    return page.locator(f'[data-lost="{kind}"]')


def clock_stands(page: Page) -> bool:
    """Return whether every running duration of the page stays the same while 2.2 seconds pass for its scripts."""
    read = """() => [...document.querySelectorAll("time.clock")].map(each => each.textContent).join()"""
    before = page.evaluate(read)
    page.clock.run_for(2_200)
    return bool(before == page.evaluate(read))
