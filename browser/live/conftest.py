"""Pages with short pauses, and pages whose clock a test sets."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, StorageState

# Pauses between refreshes take a tenth of their time. Those of streams (event_stream.js, connection_notice.js) stay as
# they are, because the server's do.
HASTE = """
const later = setTimeout, kept = [3_000, 3_500, 60_000];
window.setTimeout = (work, pause, ...more) => later(work, kept.includes(pause) ? pause : pause / 10, ...more);
"""


@pytest.fixture
def page(own_page: Page) -> Page:
    own_page.add_init_script(HASTE)
    return own_page


@pytest.fixture
def clocked(opened: Callable[..., BrowserContext], session: StorageState) -> Page:
    """Return a page of admin whose clock a test may turn on."""
    page = opened(storage_state=session).new_page()
    page.clock.install()
    return page
