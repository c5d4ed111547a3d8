"""The site under test: the product's own server with a ledger that always has the same rows. Only their times depend on
the clock, because the monitor shows the last 24 hours."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from browser.pages import View
from fuzz.server import Server
from pastetrader.tests.live_server import ROOT
from pastetrader.tests.prepared_folder import copy

CHOSEN = 8  # rows for an action: some that it can work on, and some that are left out
SEED = ("--runs", "400", "--workflows", "12", "--nodes", "3200", "--lines", "4000")


class LiveSite(Server):
    """A server with a filled ledger. `ids` are those of last night's run (browser/fixture_data.py), by the names that
    addresses of pages use."""

    ids: dict[str, str]

    def fill(self, seed: tuple[str, ...]) -> None:
        self.ids = json.loads(self.python("-m", "browser.fixture_data", *seed).splitlines()[-1])

    def show(self, page: Page, view: View) -> None:
        """Open a view without waiting for more than the page."""
        page.goto(self.url(view.path))
        if view.action:
            for box in page.locator(".action-select").all()[:CHOSEN]:
                box.check()
            page.locator(f'button[name="action"][value="{view.action}"]').click()

    def python(self, *arguments: str) -> str:
        """Run a Python program on this site's database; return its stdout. Raises CalledProcessError."""
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=self.env, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout

    def url(self, path: str) -> str:
        """Return the address of a path, which may name `ids` in braces."""
        return self.address + path.format_map(self.ids)


@contextmanager
def start_site(seed: tuple[str, ...] = SEED, prepared: Path | None = None) -> Iterator[LiveSite]:
    """Start a server, of a copy of the folder `prepared` if there is one, and fill its database. Raises AssertionError
    if the server's log has a traceback."""
    home = Path(tempfile.mkdtemp(prefix="pastetrader-browser-")).resolve()
    if prepared:
        copy(prepared, home)
    made = LiveSite(home, "browser")
    try:
        made.fill(seed)
        yield made
    finally:
        log = made.stop()
        shutil.rmtree(home)
    assert "Traceback" not in log, log
