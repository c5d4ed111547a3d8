"""One server and one browser for the whole folder, a context of its own for each test, watched by a guard."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect

from browser import chromium, screenshots
from browser.engine import Engine
from browser.guard import Guard
from browser.live_site import Stage, stage

expect.set_options(timeout=30_000)

# Of the scope of the package, not of the session: while Playwright is at work a loop of asyncio runs in this thread,
# and Django refuses to speak to a database beside one.
here = pytest.fixture(scope="package")


@here
def browser_path() -> str:
    """Return Chromium's path. Without one, skip the tests; in CI, fail."""
    path = chromium.find()
    if path is None and os.environ.get("CI"):
        pytest.fail(chromium.MISSING)
    return path or pytest.skip(chromium.MISSING)


@here
def site(browser_path: str, prepared: Path) -> Iterator[Stage]:
    with stage(prepared=prepared) as made:
        yield made


@here
def browser(browser_path: str) -> Iterator[Browser]:
    with chromium.chromium(browser_path) as launched:
        yield launched


@here
def session(browser: Browser, site: Stage) -> StorageState:
    """The cookies of admin, who logged in once."""
    return screenshots.signed_in(browser, site)


@pytest.fixture
def guards() -> Iterator[list[Guard]]:
    """Yield the guards of all contexts of the test; a fault that one of them caught fails the test."""
    kept: list[Guard] = []
    yield kept
    for guard in kept:
        guard.check()


@pytest.fixture
def opened(browser: Browser, site: Stage, guards: list[Guard]) -> Iterator[Callable[..., BrowserContext]]:
    """A new context, with Playwright's own options."""
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        options = {"viewport": {"width": 1360, "height": 900}, "locale": "en-GB", "timezone_id": "UTC"} | options
        contexts.append(browser.new_context(**options))
        guards.append(Guard(contexts[-1], site.address))
        return contexts[-1]

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(opened: Callable[..., BrowserContext], session: StorageState) -> Page:
    """Return a page of admin, who is logged in."""
    return opened(storage_state=session).new_page()


@pytest.fixture
def stranger(opened: Callable[..., BrowserContext]) -> Page:
    """Return a page of an anonymous user."""
    return opened().new_page()


@pytest.fixture
def plain(opened: Callable[..., BrowserContext], session: StorageState) -> Page:
    """Return a page of admin in a browser without JavaScript."""
    return opened(storage_state=session, java_script_enabled=False).new_page()


@pytest.fixture
def guard(page: Page, guards: list[Guard]) -> Guard:
    return guards[0]


@pytest.fixture
def engine(site: Stage, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Yield an engine with a run of a workflow that is named after the test."""
    started = Engine(site, request.node.name.removeprefix("test_").replace("_", " ").capitalize())
    yield started
    started.stop()
