"""Find the Chromium of this machine. Nothing is downloaded."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

SHELL = "chromium-headless-shell"  # of Debian: it has no windows, and takes a third less time to load a page
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", SHELL)
MISSING = (
    f"no Chromium was found (none of {', '.join(NAMES)} in PATH): install one, or name it with CHROMIUM=/path/to/it"
)


def find(*preferred: str) -> str | None:
    """Return the path in the variable CHROMIUM, else the first of the preferred and the usual names."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named)
    return next(filter(None, map(shutil.which, (*preferred, *NAMES))), None)


# For tests: the pages of a context share a process, as starting one costs as much as loading most pages.
SHARED_PROCESS = ("--renderer-process-limit=1", "--disable-site-isolation-trials")


@contextmanager
def chromium(path: str, *more: str) -> Iterator[Browser]:
    # Its sandbox refuses to work for root, as whom a CI often runs.
    options = ["--disable-gpu", *more, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()
