"""Control characters and those that turn the text are visible on every page."""

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from executions.models import ExecutionLog, WorkflowExecution
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory
from ledgerkit import visible_text
from workflows.models import Workflow
from workflows.tests.factories import UserFactory

TURNED = "see\u202exe.txt\u2066\x1b[31mred\x07\x85\u200b"
RAW = ["\u200b", "\u202e", "\u2066", "\x07", "\x85", "\x1b"]


@pytest.fixture
def staff_client(db: None, client: Client) -> Client:
    client.force_login(UserFactory(username="chief", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def run(workflow: Workflow) -> WorkflowExecution:
    """Return a run whose error, traceback, lines and old names contain control characters."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE workflows DROP CONSTRAINT workflow_name_clean")
        cursor.execute("UPDATE workflows SET name = %s", [TURNED])
    made: WorkflowExecution = WorkflowExecutionFactory(workflow=workflow, metadata={"correlation_id": TURNED})
    made.start()
    node = NodeExecutionFactory(workflow_execution=made)
    node.start()
    ExecutionLog(workflow_execution=made, node_execution=node, level="error", message=TURNED).save()
    node.fail(TURNED, TURNED)
    made.fail(TURNED)
    return made


def test_no_page_has_one(staff_client: Client, run: WorkflowExecution) -> None:
    node, line = run.node_executions.get(), run.logs.get()
    addresses = [
        reverse("admin:index"),
        reverse("admin:executions_workflowexecution_changelist"),
        reverse("admin:executions_workflowexecution_change", args=[run.pk]),
        f"{reverse('admin:executions_workflowexecution_change', args=[run.pk])}?node={node.pk}",
        reverse("admin:executions_nodeexecution_changelist"),
        reverse("admin:executions_nodeexecution_change", args=[node.pk]),
        reverse("admin:executions_executionlog_changelist"),
        reverse("admin:executions_executionlog_change", args=[line.pk]),
        reverse("admin:workflows_workflow_changelist"),
        reverse("admin:workflows_workflow_page", args=[run.workflow_id]),
        reverse("admin:executions_logs", args=[run.pk]),
    ]
    for address in addresses:
        page = staff_client.get(address, follow=True)
        html = page.content.decode()
        assert (page.status_code, [sign for sign in RAW if sign in html]) == (200, []), address
    assert "see\u27e8U+202E\u27e9xe.txt" in html


def test_what_a_form_sends_back_stays_as_it_is(staff_client: Client, workflow: Workflow) -> None:
    Workflow.objects.filter(pk=workflow.pk).update(description="left\u200fright")
    html = staff_client.get(reverse("admin:workflows_workflow_change", args=[workflow.pk])).content.decode()
    assert "left\u200fright" in html


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1bb", "a\u241bb"),
        ("\x7f", "\u2421"),
        ("\u061c", "\u27e8U+061C\u27e9"),
        ("\u200b\u2060\ufeff\u3164", "\u27e8U+200B\u27e9\u27e8U+2060\u27e9\u27e8U+FEFF\u27e9\u27e8U+3164\u27e9"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("a\tb\n", "a\tb\n"),
        ("한글", "한글"),
    ],
)
def test_signs_are_shown(text: str, shown: str) -> None:
    assert visible_text.show_on_page(f'<b>{text}</b><input value="{text}">') == f'<b>{shown}</b><input value="{text}">'
