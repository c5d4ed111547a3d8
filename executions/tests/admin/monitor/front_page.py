"""The front page in tests: its sections, its numbers, and the runs that they count."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any

from django.test import Client
from django.utils import timezone

from executions.error_groups.failures import read_failures
from executions.error_groups.recording import record
from executions.models import WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.audit import audit_writes
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import WorkflowFactory

FRONT = "/admin/"

NUMBER = re.compile(r'<a[^>]* href="(/admin/executions/workflowexecution/\?[^"]*)"[^>]*>([^<]*\d[^<]*)</a>')

SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)

CONCURRENT = {"allow_concurrent": True}


def front_page_of(user: Any) -> str:
    response = client_of(user).get(FRONT)
    assert response.status_code == 200
    return response.content.decode()


def found(user: Any, section: str) -> Any:
    return client_of(user).get(FRONT).context["monitor"][section].found


def ended_run(state: str, ago: timedelta, workflow: Workflow | None = None, seconds: float = 10) -> WorkflowExecution:
    """Return a run that ended so long ago."""
    run = in_state(WorkflowExecutionFactory(workflow=workflow or WorkflowFactory()), state)
    end = timezone.now() - ago
    begin = end - timedelta(seconds=seconds)
    WorkflowExecution.objects.filter(pk=run.pk).update(created_at=begin, started_at=begin, ended_at=end)
    run.refresh_from_db()
    return run


def failed_at(node: str, error: str, workflow: Workflow, traceback: str | None = None) -> WorkflowExecution:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    row, _made = workflow.nodes.get_or_create(name=node, defaults={"node_type": "tool"})
    in_state(NodeExecutionFactory(workflow_execution=run, node=row), "running").fail(error, traceback)
    run.fail("a node failed")
    return run


def sort_into_groups(*runs: WorkflowExecution) -> None:
    """Record the failures of these runs, as a scan does."""
    with audit_writes():
        record(read_failures([(run.pk, run.attempt) for run in runs]))


def section(html: str, name: str) -> str:
    return html.partition(f'aria-labelledby="monitor-{name}"')[2].partition("</section>")[0]


def numbers(html: str) -> Iterator[tuple[str, int]]:
    """Yield each link to a list of runs whose text is a number and perhaps a word, but no percentage or duration."""
    for address, text in NUMBER.findall(SVG.sub("", html)):
        if said := re.fullmatch(r"(?:All )?(\d+)(?: completed| failed)?", unescape(text).strip()):
            yield unescape(address), int(said[1])


def count(client: Client, address: str) -> int:
    """Return the number of rows on all pages of a list."""
    page = client.get(address).context["cl"]
    total = len(page.result_list)
    while page.older_link:
        page = client.get(address.partition("?")[0] + page.older_link).context["cl"]
        total += len(page.result_list)
    return total
