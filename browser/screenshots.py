"""`python -m browser.screenshots [NAME ...]` takes the pictures of the docs anew: the pages of `PAGES` that have
one, in each variant, as docs/screenshots/<page>-<variant>.png. The ledger is the same every time, but for its moments.
"""

import io
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, StorageState

from browser import chromium
from browser.axe import NO_FADES, PHONE, WIDE
from browser.live_site import LiveSite, start_site
from browser.pages import PAGES, View

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "screenshots"
COLOURS = 256  # of a picture: it has a third of the bytes then, and its few colours stay as they are
MAX_HEIGHT = {WIDE["width"]: 1_000, PHONE["width"]: 1_400}  # pixels; what lies below is cut off

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
    views = [view for view in PAGES if view.pictured and (not names or view.name in names)]
    with start_site() as site, chromium.chromium(path) as browser:
        cookies = signed_in(browser, site)
        sizes = [size for variant in VARIANTS for size in shoot_all(browser, site, cookies, views, variant)]
    sys.stdout.write(f"{len(sizes)} pictures, {sum(sizes):,} bytes, the largest {max(sizes):,}\n")
    return 0


def signed_in(browser: Browser, site: LiveSite) -> StorageState:
    """Return the cookies of admin, who logged in once."""
    with browser.new_context(locale="en-GB") as context:
        log_in(context.new_page(), site)
        return context.storage_state()


def log_in(page: Page, site: LiveSite) -> None:
    page.goto(site.url("/admin/"))
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Log in").click()
    page.locator("#user-tools").wait_for()


def shoot_all(browser: Browser, site: LiveSite, cookies: StorageState, views: list[View], variant: str) -> list[int]:
    """Take a picture of each view; return their sizes in bytes."""
    options: dict[str, Any] = VARIANTS[variant] | {"timezone_id": "UTC", "reduced_motion": "reduce"}
    with browser.new_context(storage_state=cookies, **options) as inside, browser.new_context(**options) as outside:
        return [shoot(inside if view.signed_in else outside, site, view, variant) for view in views]


def shoot(context: BrowserContext, site: LiveSite, view: View, variant: str) -> int:
    page, size = context.new_page(), VARIANTS[variant]["viewport"]
    site.show(page, view)
    page.locator(view.shows).first.wait_for()
    page.evaluate(NO_FADES)
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size(
        {"width": size["width"], "height": max(size["height"], min(height, MAX_HEIGHT[size["width"]]))}
    )
    if view.scroll_to:
        page.locator(view.scroll_to).first.evaluate("each => each.scrollIntoView()")
    picture = pack(page.screenshot(animations="disabled"))
    page.close()
    return (FOLDER / f"{view.name}-{variant}.png").write_bytes(picture)


def pack(png: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        out, "PNG", optimize=True
    )
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
