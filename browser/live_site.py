"""The site under test: the product's own server with a ledger that always has the same rows. Only their times depend on
the clock, because the monitor shows the last 24 hours."""

import json
import os
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

KNOWN = "known.json"  # in the folder: password, token and ids
CHOSEN = 8  # rows for an action: some that it can work on, and some that are left out
# A run displays its parts one by one (ledgerkit/in_turn.js).
ALL_SHOWN = "() => document.readyState === 'complete' && !document.adoptedStyleSheets.length"
SEED = ("--runs", "400", "--workflows", "12", "--nodes", "3200", "--lines", "4000")


class LiveSite(Server):
    """A server of a filled folder. `ids` are those of last night's run (browser/fixture_data.py), by the names that
    addresses of pages use."""

    ids: dict[str, str]

    def first_keys(self, name: str) -> tuple[str, str]:
        known = json.loads((self.local / KNOWN).read_text())
        self.ids = known["ids"]
        return known["password"], known["token"]

    def open(self, page: Page, path: str) -> None:
        """Open a page and wait until all its parts are displayed, for what reads them at once."""
        page.goto(self.url(path))
        page.wait_for_function(ALL_SHOWN)

    def show(self, page: Page, view: View) -> None:
        """Open a view; after an action, without waiting for its page."""
        self.open(page, view.path)
        if view.action:
            for box in page.locator(".action-select").all()[:CHOSEN]:
                box.check()
            page.locator(f'button[name="action"][value="{view.action}"]').click()

    def python(self, *arguments: str) -> str:
        """Run a Python program on this site's database; return its stdout. Raises CalledProcessError."""
        return run_python(self.local, *arguments)

    def url(self, path: str) -> str:
        """Return the address of a path, which may name `ids` in braces."""
        return self.address + path.format_map(self.ids)


def run_python(local: Path, *arguments: str) -> str:
    """Run a Python program on the database of a folder; return its stdout. Raises CalledProcessError."""
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment = kept | {"PASTETRADER_LOCAL": str(local), "PASTETRADER_DURABLE": "0"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def fill(home: Path, seed: tuple[str, ...] = SEED) -> None:
    """Fill the database of a folder, and note there what a browser has to know."""
    (home / KNOWN).write_text(run_python(home, "-m", "browser.fixture_data", *seed).splitlines()[-1])


@contextmanager
def start_site(seed: tuple[str, ...] = SEED, filled: Path | None = None) -> Iterator[LiveSite]:
    """Start a server, of a copy of the folder `filled` if there is one. Raises AssertionError if the server's log has a
    traceback."""
    home = Path(tempfile.mkdtemp(prefix="pastetrader-browser-")).resolve()
    try:
        if filled:
            copy(filled, home)
        else:
            run_python(home, "manage.py", "migrate", "--verbosity", "0")
            fill(home, seed)
        made = LiveSite(home)
        try:
            yield made
        finally:
            log = made.stop()
    finally:
        shutil.rmtree(home)
    assert "Traceback" not in log, log
