"""One server and one browser for the whole folder, a page that tests share, watched by a guard."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect

from browser import chromium, screenshots
from browser.engine import Engine
from browser.guard import Guard
from browser.live_site import LiveSite, fill, start_site
from pastetrader.tests.prepared_folder import copy, made_once

expect.set_options(timeout=30_000)

# Of the scope of the package, not of the session: while Playwright is at work a loop of asyncio runs in this thread,
# and Django refuses to speak to a database beside one.
here = pytest.fixture(scope="package")
OPTIONS: dict[str, Any] = {"viewport": {"width": 1360, "height": 900}, "locale": "en-GB", "timezone_id": "UTC"}


@here
def browser_path() -> str:
    """Return Chromium's path. Without one, skip the tests; in CI, fail."""
    path = chromium.find(chromium.SHELL)
    if path is None and os.environ.get("CI"):
        pytest.fail(chromium.MISSING)
    return path or pytest.skip(chromium.MISSING)


@here
def filled(browser_path: str, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a site that is not running, whose ledger is filled."""

    def make(home: Path) -> None:
        copy(prepared, home)
        fill(home)

    return made_once(tmp_path_factory, "filled", make)


@here
def site(filled: Path) -> Iterator[LiveSite]:
    with start_site(filled=filled) as made:
        yield made


@here
def browser(browser_path: str) -> Iterator[Browser]:
    with chromium.chromium(browser_path, *chromium.SHARED_PROCESS) as launched:
        yield launched


@here
def session(browser: Browser, site: LiveSite) -> StorageState:
    """Return the cookies of admin, who logged in once."""
    return screenshots.signed_in(browser, site)


@here
def with_scripts(browser: Browser, site: LiveSite) -> Iterator[Guard]:
    """Yield a context that tests share: scripts and styles are in its cache."""
    with open_guarded(browser, site) as guard:
        yield guard


@here
def without_scripts(browser: Browser, site: LiveSite) -> Iterator[Guard]:
    with open_guarded(browser, site, java_script_enabled=False) as guard:
        yield guard


@contextmanager
def open_guarded(browser: Browser, site: LiveSite, **options: Any) -> Iterator[Guard]:
    with browser.new_context(**OPTIONS | options) as context:
        yield Guard(context, site.address)


@pytest.fixture
def guards() -> Iterator[list[Guard]]:
    """Yield the guards of all contexts of the test; a fault that one of them caught fails the test."""
    kept: list[Guard] = []
    yield kept
    for guard in kept:
        guard.check()


@pytest.fixture
def opened(browser: Browser, site: LiveSite, guards: list[Guard]) -> Iterator[Callable[..., BrowserContext]]:
    """Return a function that opens a new context, for tests that end their session or install a clock."""
    with ExitStack() as contexts:

        def make(**options: Any) -> BrowserContext:
            guards.append(contexts.enter_context(open_guarded(browser, site, **options)))
            return guards[-1].context

        yield make


@contextmanager
def new_page(guard: Guard, guards: list[Guard], session: StorageState | None) -> Iterator[Page]:
    """Open a page of a shared context; at the end close it, and those that the test opened beside it."""
    context = guard.begin(session)
    guards.append(guard)
    before = context.pages
    yield context.new_page()
    close_others(context, before)


def close_others(context: BrowserContext, kept: list[Page]) -> None:
    for page in context.pages:
        if page not in kept:
            page.close()


@here
def tab(with_scripts: Guard) -> Iterator[Page]:
    """Yield a page that tests share: the process of a new one costs as much as loading most pages."""
    with with_scripts.context.new_page() as page:
        yield page


@pytest.fixture
def page(tab: Page, with_scripts: Guard, guards: list[Guard], session: StorageState) -> Iterator[Page]:
    """Return the shared page, as new, of admin, who is logged in."""
    tab.set_viewport_size(OPTIONS["viewport"])
    tab.emulate_media(media="null", color_scheme="null", reduced_motion="null", forced_colors="null")
    tab.mouse.move(0, 0)
    with_scripts.begin(session)
    guards.append(with_scripts)
    before = with_scripts.context.pages
    yield tab
    tab.unroute_all()
    tab.goto("about:blank")
    close_others(with_scripts.context, before)


@pytest.fixture
def own_page(with_scripts: Guard, guards: list[Guard], session: StorageState) -> Iterator[Page]:
    """Return a page of admin, for tests that add scripts to it or listen to it."""
    with new_page(with_scripts, guards, session) as made:
        yield made


@pytest.fixture
def stranger(with_scripts: Guard, guards: list[Guard]) -> Iterator[Page]:
    """Return a page of an anonymous user."""
    with new_page(with_scripts, guards, None) as made:
        yield made


@pytest.fixture
def plain(without_scripts: Guard, guards: list[Guard], session: StorageState) -> Iterator[Page]:
    """Return a page of admin in a browser without JavaScript."""
    with new_page(without_scripts, guards, session) as made:
        yield made


@pytest.fixture
def engine(site: LiveSite, request: pytest.FixtureRequest) -> Engine:
    """Return an engine with a run of a workflow that is named after the test."""
    return Engine(site, request.node.name.removeprefix("test_").replace("_", " ").capitalize())
