"""`python -m browser.a11y_report [NAME ...]` checks each page by axe-core in every way that it is shown: light and
dark, wide and on a phone, in English and in Korean. The suite checks two of these eight."""

import sys
from itertools import product
from typing import Any

from playwright.sync_api import Browser, StorageState, expect

from browser import chromium
from browser.axe import PHONE, WIDE, faults_of, install
from browser.live_site import LiveSite, start_site
from browser.pages import PAGES, RUNS, View
from browser.screenshots import signed_in

LOCALES = ("en-GB", "ko-KR")
WAYS = tuple(product(("light", "dark"), (WIDE, PHONE)))
NOWHERE = "0190f5e5-0000-7000-8000-000000000000"
STATES = (
    View("gone", f"{RUNS}{NOWHERE}/change/", ".not-counted"),
    View("no-filter", f"{RUNS}?nonsense=1", ".not-counted"),
    View("no-view", f"{RUNS}?status=failed&view={NOWHERE}", ".not-counted"),
    View("not-found", "/admin/nothing/here/", "#content"),
    View("nothing-found", f"{RUNS}?q=nowhere", ".list-empty"),
    View("deletions", "/admin/executions/deletion/", "#changelist"),
)  # what is shown where there is nothing to show
LEFT_OUT = {"api"}  # Swagger UI's markup is not ours (browser/test_pages.py)


def main(names: list[str]) -> int:
    if (path := chromium.find()) is None:
        sys.stderr.write(f"Nothing was checked: {chromium.MISSING}\n")
        return 1
    views = [view for view in (*PAGES, *STATES) if view.name not in LEFT_OUT and (not names or view.name in names)]
    with start_site() as site, chromium.chromium(path) as browser:
        cookies = signed_in(browser, site)
        found = [
            fault for view in views for locale in LOCALES for fault in _check(browser, site, cookies, view, locale)
        ]
    sys.stdout.write(f"{len(views)} pages, each in {len(LOCALES) * len(WAYS)} ways: {len(found)} faults\n")
    return 1 if found else 0


def _check(browser: Browser, site: LiveSite, cookies: StorageState, view: View, locale: str) -> list[str]:
    options: dict[str, Any] = {"storage_state": cookies} if view.signed_in else {}
    with browser.new_context(locale=locale, timezone_id="UTC", viewport=WIDE, **options) as context:
        page = context.new_page()
        install(page)
        site.show(page, view)
        expect(page.locator(view.shows).first).to_be_visible(timeout=30_000)
        found = faults_of(page, WAYS)
    for fault in found:
        sys.stdout.write(f"{view.name}, {locale}, {fault}\n")
    sys.stdout.flush()
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
