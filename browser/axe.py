"""WCAG 2.2 AA checks by axe-core: in the light and the dark scheme, and on a phone's width."""

from collections.abc import Sequence
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, ViewportSize

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OPTIONS = {"runOnly": TAGS, "resultTypes": ["violations"], "preload": False}
WIDE, PHONE = ViewportSize(width=1360, height=900), ViewportSize(width=375, height=812)
MAX_LISTED = 3
# Rows of a list are alike: a hundred of them tell no more than some.
CONTEXT = {"exclude": ["tbody tr:nth-child(n+11)", ".line-info:nth-child(n+21)", ".line-debug:nth-child(n+21)"]}
HEADER = "#header"  # the same on every page, but for the link that is the current one
# Links fade into the colours of the other scheme, and have too little contrast while they do. Those in lines of a log
# that are out of sight (content-visibility) begin to fade when they are first drawn, seconds later, while axe
# works: no wait is long enough, so nothing fades in a page that is examined.
NO_FADES = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("*, ::before, ::after { transition: none !important }");
    document.adoptedStyleSheets.push(sheet);
}"""
# After two frames, so that the page's own scripts have seen its new size.
RUN = """async ([context, options]) => {
    for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
    return (await axe.run(context, options)).violations;
}"""


def install(page: Page) -> None:
    """Load axe with each page that is opened from now on: that takes Chromium a tenth of a second less than later."""
    page.add_init_script(AXE_SCRIPT)


def faults_of(page: Page, ways: Sequence[tuple[Any, ViewportSize]], *, has_known_header: bool = False) -> list[str]:
    """Return one line or more for each rule that is violated, for each way in which the page is shown. A known header
    is not examined."""
    page.evaluate(NO_FADES)
    context = {"exclude": [*CONTEXT["exclude"], *([HEADER] if has_known_header else [])]}
    return [
        f"{scheme}, {size['width']} wide: {fault}"
        for scheme, size in ways
        for fault in _faults(page, scheme, size, context)
    ]


def _faults(page: Page, scheme: Any, size: ViewportSize, context: dict[str, list[str]]) -> list[str]:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size(size)
    return [_describe(violation) for violation in page.evaluate(RUN, [context, OPTIONS])]


def _describe(violation: dict[str, Any]) -> str:
    places = [f"    {node['html'][:200]}\n      {_why(node)}" for node in violation["nodes"][:MAX_LISTED]]
    return "\n".join([f"{violation['id']}: {violation['help']} ({len(violation['nodes'])})", *places])


def _why(node: dict[str, Any]) -> str:
    return "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])
