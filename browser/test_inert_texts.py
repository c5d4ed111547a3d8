"""Texts that look like markup and script execute nothing in a browser, on the pages of a run that has all of them. The
guard of each page refuses what the console or the Content Security Policy complains about."""

from typing import Any

from playwright.sync_api import Dialog, Page

from browser.engine import Engine
from browser.live_site import LiveSite
from browser.pages import RUNS
from executions.tests.bad_input.inputs import TEXTS
from ledgerkit.db.models import uuid7

MARKUP = [text for text in TEXTS.values() if "executed" in text]


def report(site: LiveSite, engine: Engine) -> None:
    """Report lines with all texts, and a failure of each node and of the run with the markup."""
    run, load, rank = (engine.ids[name] for name in ("run", "Load", "Rank"))
    together = "\n".join(MARKUP)
    facts: list[dict[str, Any]] = [{"kind": "execution.start", "id": run}]
    for node in (load, rank):
        of_node = {"id": node, "workflow_execution": run}
        fail = {"kind": "node.fail", "error_message": MARKUP[0], "error_traceback": together}
        facts += [{"kind": "node.start", **of_node}, {**fail, **of_node}]
    for text in TEXTS.values():
        line = {"kind": "log", "id": str(uuid7()), "level": "error", "message": text, "data": {"note": MARKUP}}
        facts.append({**line, "workflow_execution": run, "node_execution": load})
    facts.append({"kind": "execution.fail", "id": run, "error_message": together})
    status, answer, _headers = site.call("POST", "events/", facts, {})
    assert (status, answer["refusals"]) == (200, [])


def test_nothing_is_executed(own_page: Page, site: LiveSite, engine: Engine) -> None:
    report(site, engine)
    dialogs: list[Dialog] = []
    page = own_page
    page.on("dialog", lambda dialog: dialogs.append(dialog))  # noqa: PLW0108  # Playwright takes no built-in method
    run, node = engine.ids["run"], engine.ids["Load"]
    for path in (
        f"{RUNS}{run}/change/?node={node}", f"/admin/executions/nodeexecution/{node}/change/", f"{RUNS}{run}/logs/",
        f"{RUNS}?q={run}", "/admin/executions/executionlog/", "/admin/", f"{RUNS}{run}/logs/?q=%3Cscript%3E",
    ):  # fmt: skip
        site.open(page, path)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert page.evaluate("window.executed") is None, path
        assert page.locator("iframe, base, [onerror], [onload], [ontoggle], [onfocus]").count() == 0, path
    assert dialogs == []
