"""Texts that were stored are shown inertly: on every page, in every file that is downloaded, in every answer."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from executions.models import NodeExecution, WorkflowExecution
from executions.tests.facts.reporting import send
from ledgerkit.tests.clients import client_of
from pastetrader.tests.proofs import LONG
from workflows.models import Workflow

from .inputs import TEXTS
from .test_facts import facts_of

PERIOD = {name: (timezone.now() + timedelta(days=days)).isoformat() for name, days in (("after", -1), ("before", 1))}
PARTS = 6  # of the texts, each in a test of its own
ADMIN = "/admin/executions"
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")
INERT_SCRIPTS = {"application/json", "importmap"}


class ActiveContent(HTMLParser):
    """Parser that collects what would execute in a page: marked scripts, event attributes, addresses of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.is_script = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.is_script = tag in {"script", "style"} and values.get("type") not in INERT_SCRIPTS
        if tag in {"base", "iframe", "object", "embed", "math", "details"} and "127.0.0.1:9" in str(values):
            self.found.append(tag)
        for name, value in values.items():
            is_address = name in {"href", "src", "action", "formaction", "srcdoc"}
            if name.startswith("on") or (is_address and value.strip().lower().startswith(("javascript:", "data:text"))):
                self.found.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        self.is_script = self.is_script and tag not in {"script", "style"}

    def handle_data(self, data: str) -> None:
        if self.is_script and "window.executed" in data:
            self.found.append(data)


def test_the_parser_finds_what_would_execute() -> None:
    for name in ("script", "image", "svg", "closed-attribute", "details"):
        assert ActiveContent(f'<p title="{TEXTS[name]}">{TEXTS[name]}</p>').found, name


def page(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    html = response.content.decode() if not response.streaming else b"".join(response).decode()
    if response["Content-Type"].startswith("text/html"):
        assert ActiveContent(html).found == [], address
        assert "\0" not in html, address
    return html


@pytest.fixture
def runs(engine: Any, workflow: Workflow, part: int) -> list[str]:
    """Return the runs that have the texts of a part: in lines, errors, tracebacks, documents."""
    texts = list(TEXTS.items())[part::PARTS]
    facts = [list(facts_of(name, text)) for name, text in texts]
    assert send(engine, *(fact for of_run in facts for fact in of_run))["refused"] == 0
    return [of_run[0]["id"] for of_run in facts]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_stored_text_is_inert_in_pages_files_and_responses(engine: Any, staff: Any, runs: list[str]) -> None:
    client = client_of(staff)
    _open_pages(client, runs if LONG else runs[:: len(runs) // 4])
    for path in ("executions/", "node-executions/", "logs/"):
        answer = engine.get(f"/api/v1/{path}", {"page_size": 100} | (PERIOD if path == "logs/" else {}))
        assert answer.status_code == 200, (path, answer.content)
        assert answer["Content-Type"] == "application/json"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert len(json.loads(answer.content)["results"]) == len(runs), path


def _open_pages(client: Client, runs: list[str]) -> None:
    for path in ("workflowexecution", "nodeexecution", "executionlog"):
        page(client, f"{ADMIN}/{path}/")
    page(client, "/admin/")
    for run in runs:
        node = NodeExecution.objects.get(workflow_execution=run)
        page(client, f"{ADMIN}/workflowexecution/{run}/change/?node={node.pk}")
        page(client, f"{ADMIN}/nodeexecution/{node.pk}/change/")
        page(client, f"{ADMIN}/workflowexecution/{run}/logs/")
    workflow = WorkflowExecution.objects.get(pk=runs[0]).workflow_id
    page(client, reverse("admin:workflows_workflow_page", args=[workflow]))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_downloaded_log_has_no_character_that_a_terminal_obeys(staff: Any, runs: list[str]) -> None:
    for run in runs if LONG else runs[::3]:
        address = f"{ADMIN}/workflowexecution/{run}/logs/download/?format="
        assert CONTROLS.search(page(client_of(staff), address + "text")) is None
        (line,) = page(client_of(staff), address + "jsonl").splitlines()
        assert json.loads(line)["level"] == "error"
