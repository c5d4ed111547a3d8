"""WCAG 2.2 AA, as axe-core checks it: in light, in dark and on a phone's width."""

from collections.abc import Sequence
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OPTIONS = {"runOnly": TAGS, "resultTypes": ["violations"], "preload": False}
WIDE, PHONE = ViewportSize(width=1360, height=900), ViewportSize(width=390, height=844)
SHOWN = 3
# Rows of a list are alike: a hundred of them tell no more than some.
CONTEXT = {"exclude": ["tbody tr:nth-child(n+11)"]}
# Colours fade into those of the other scheme, and are neither while they do. What moves for ever is not waited for.
STILL = """async () => {
    const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
    await pause(20);
    const fading = document.getAnimations().filter(each => each instanceof CSSTransition);
    await Promise.race([Promise.allSettled(fading.map(each => each.finished)), pause(2000)]);
}"""
WAYS: tuple[tuple[Any, ViewportSize], ...] = (("light", WIDE), ("dark", PHONE))


def check_accessible(page: Page, ways: Sequence[tuple[Any, ViewportSize]] = WAYS, *, but: tuple[str, ...] = ()) -> None:
    """The page as it stands now, not loaded anew. `but` names rules that are left out: say why where you call it."""
    faults = faults_of(page, ways, but)
    assert not faults, f"{page.url}\n" + "\n".join(faults)


def faults_of(page: Page, ways: Sequence[tuple[Any, ViewportSize]], but: tuple[str, ...] = ()) -> list[str]:
    """One line or more of each rule that is violated, for each of the ways that the page is shown."""
    return [
        f"{scheme}, {size['width']} wide: {fault}"
        for scheme, size in ways
        for fault in _faults(page, scheme, size, but)
    ]


def _faults(page: Page, scheme: Any, size: ViewportSize, but: tuple[str, ...]) -> list[str]:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size(size)
    page.evaluate(STILL)
    found = Axe().run(page, CONTEXT, OPTIONS | {"rules": {rule: {"enabled": False} for rule in but}})
    return [_told(violation) for violation in found.response["violations"]]


def _told(violation: dict[str, Any]) -> str:
    places = [f"    {node['html'][:200]}\n      {_why(node)}" for node in violation["nodes"][:SHOWN]]
    return "\n".join([f"{violation['id']}: {violation['help']} ({len(violation['nodes'])})", *places])


def _why(node: dict[str, Any]) -> str:
    return "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])
