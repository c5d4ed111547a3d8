"""`python -m browser.screenshots [NAME ...]` takes the pictures of the docs anew: each page of `PAGES` in each
variant, as docs/screenshots/<page>-<variant>.png. The ledger is the same every time, but for its moments.
"""

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, StorageState

from browser import chromium
from browser.accessible import PHONE, STILL, WIDE
from browser.pages import PAGES, View
from browser.stage import Stage, stage

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "screenshots"
LONGEST = 1_400  # pixels; what lies below is cut off
MOST_BYTES = 150_000

VARIANTS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": WIDE, "locale": "en-GB"},
    "dark": {"color_scheme": "dark", "viewport": WIDE, "locale": "en-GB"},
    "korean": {"color_scheme": "light", "viewport": WIDE, "locale": "ko-KR"},
    "phone": {"color_scheme": "light", "viewport": PHONE, "locale": "en-GB"},
}


def main(names: list[str]) -> int:
    if (path := chromium.find()) is None:
        sys.stderr.write(f"No pictures were taken: {chromium.MISSING}\n")
        return 1
    views = [view for view in PAGES if not names or view.name in names]
    with stage() as site, chromium.chromium(path) as browser:
        cookies = signed_in(browser, site)
        sizes = [shoot(browser, site, cookies, view, variant) for variant in VARIANTS for view in views]
    sys.stdout.write(f"{len(sizes)} pictures, {sum(sizes):,} bytes, the largest {max(sizes):,}\n")
    return 0


def signed_in(browser: Browser, site: Stage) -> StorageState:
    context = browser.new_context()
    log_in(context.new_page(), site)
    return context.storage_state()


def log_in(page: Page, site: Stage) -> None:
    page.goto(site.url("/admin/"))
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Log in").click()
    page.locator("#user-tools").wait_for()


def shoot(browser: Browser, site: Stage, cookies: StorageState, view: View, variant: str) -> int:
    """How many bytes it has."""
    options = VARIANTS[variant] | {"storage_state": cookies if view.signed_in else None, "timezone_id": "UTC"}
    context = browser.new_context(reduced_motion="reduce", **options)
    page = context.new_page()
    page.goto(site.url(view.path))
    page.locator(view.shows).first.wait_for()
    page.evaluate(STILL)
    size = options["viewport"]
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], min(height, LONGEST))})
    taken = page.screenshot(path=FOLDER / f"{view.name}-{variant}.png", animations="disabled")
    context.close()
    return len(taken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
