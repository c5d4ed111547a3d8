"""`python -m browser.screenshots [NAME ...]` takes the pictures of the docs anew: the pages of `PAGES` that have
one, in each variant, as docs/screenshots/<page>-<variant>.png. The ledger is the same every time, but for its moments.
`--all FOLDER` takes pictures of every page, also at 200 %, to look at.
"""

import argparse
import io
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, ViewportSize

from browser import chromium
from browser.axe import NO_FADES, PHONE, WIDE
from browser.live_site import LiveSite, start_site
from browser.pages import PAGES, View

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "screenshots"
COLOURS = 256  # of a picture: it has a third of the bytes then, and its few colours stay as they are
MAX_HEIGHT = {WIDE["width"]: 1_000, PHONE["width"]: 1_400}  # pixels, in the docs; what lies below is cut off
MAX_HEIGHT_OF_ALL = 3_000

VARIANTS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": WIDE, "locale": "en-GB"},
    "dark": {"color_scheme": "dark", "viewport": WIDE, "locale": "en-GB"},
    "korean": {"color_scheme": "light", "viewport": WIDE, "locale": "ko-KR"},
    "phone": {"color_scheme": "light", "viewport": PHONE, "locale": "en-GB"},
}
ZOOMED = ViewportSize(width=WIDE["width"] // 2, height=WIDE["height"] // 2)  # what a zoom of 200 % leaves of a window
LOOKED_AT = VARIANTS | {
    "zoomed": {"color_scheme": "light", "viewport": ZOOMED, "device_scale_factor": 2, "locale": "en-GB"},
}


def main() -> int:
    if (path := chromium.find()) is None:
        sys.stderr.write(f"No pictures were taken: {chromium.MISSING}\n")
        return 1
    options = _arguments()
    views = [view for view in PAGES if (view.name in options.names if options.names else options.all or view.pictured)]
    folder, variants = (options.all, LOOKED_AT) if options.all else (FOLDER, VARIANTS)
    folder.mkdir(parents=True, exist_ok=True)
    with start_site() as site, chromium.chromium(path) as browser:
        cookies = signed_in(browser, site)
        sizes = [size for each in variants for size in shoot_all(browser, site, cookies, views, each, folder)]
    sys.stdout.write(f"{len(sizes)} pictures, {sum(sizes):,} bytes, the largest {max(sizes):,}\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Take pictures of pages of the admin.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a page; without one, those of the docs")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every page, also at 200 %%, into this folder")
    return parser.parse_args()


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


def shoot_all(
    browser: Browser, site: LiveSite, cookies: StorageState, views: list[View], variant: str, folder: Path = FOLDER
) -> list[int]:
    """Take a picture of each view; return their sizes in bytes."""
    options: dict[str, Any] = LOOKED_AT[variant] | {"timezone_id": "UTC", "reduced_motion": "reduce"}
    heights = MAX_HEIGHT if folder == FOLDER else {}
    with browser.new_context(storage_state=cookies, **options) as inside, browser.new_context(**options) as outside:
        pictures = ((view.name, shoot(inside if view.signed_in else outside, site, view, heights)) for view in views)
        return [(folder / f"{name}-{variant}.png").write_bytes(picture) for name, picture in pictures]


def shoot(context: BrowserContext, site: LiveSite, view: View, heights: dict[int, int]) -> bytes:
    """Return a picture of the view, of at most the height for a window of its width."""
    page = context.new_page()
    site.show(page, view)
    page.locator(view.shows).first.wait_for()
    page.evaluate(NO_FADES)
    size = page.viewport_size or WIDE
    most = heights.get(size["width"], MAX_HEIGHT_OF_ALL)
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], min(height, most))})
    if view.scroll_to:
        page.locator(view.scroll_to).first.evaluate("each => each.scrollIntoView()")
    picture = pack(page.screenshot(animations="disabled"))
    page.close()
    return picture


def pack(png: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        out, "PNG", optimize=True
    )
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
