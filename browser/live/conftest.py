"""Pages whose pauses are short, or whose clock a test turns."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, StorageState

# Pauses between refreshes take a tenth of their time. Those of streams stay as they are (live.js, lost.js: POLL_MS and
# PATIENCE_MS, SILENCE_MS, ENDED_MS), for the server keeps its own time.
HASTE = """
const later = setTimeout, kept = [3_000, 3_500, 60_000];
window.setTimeout = (work, pause, ...more) => later(work, kept.includes(pause) ? pause : pause / 10, ...more);
"""


@pytest.fixture
def page(page: Page) -> Page:
    page.add_init_script(HASTE)
    return page


@pytest.fixture
def clocked(opened: Callable[..., BrowserContext], session: StorageState) -> Page:
    """Return a page of admin whose clock a test may turn on."""
    page = opened(storage_state=session).new_page()
    page.clock.install()
    return page
