"""The nodes of a workflow that are slower this week."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions.admin.workflow.slower_nodes import slower_nodes
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def record(workflow: Workflow, days_ago: int, number: int = 3, **seconds: float) -> None:
    """Record completed runs whose nodes took so many seconds."""
    for minute in range(number):
        made = timezone.now() - timedelta(days=days_ago, minutes=minute)
        run = WorkflowExecutionFactory(workflow=workflow, created_at=made)
        run.start(at=made)
        for name, took in seconds.items():
            node = run.add_node(workflow.nodes.get(name=name))
            node.start(at=made)
            node.complete(at=made + timedelta(seconds=took))
        run.complete(at=made + timedelta(hours=1))


def test_the_node_that_became_slower_is_named_with_both_medians(workflow: Workflow, teammate: Any) -> None:
    record(workflow, 10, fetch=10, rank=10)
    record(workflow, 2, fetch=25, rank=11)
    found = slower_nodes(teammate, workflow.pk, 3)
    assert [(each.name, each.before_text, each.now_text, each.change) for each in found.slower] == [
        ("fetch", "10.0 s", "25.0 s", "150 % longer")
    ]
    assert (found.runs, found.runs_before) == (3, 3)


def test_what_ran_too_rarely_or_in_one_week_alone_is_not_compared(workflow: Workflow, teammate: Any) -> None:
    record(workflow, 10, number=2, fetch=10)
    record(workflow, 2, fetch=25, rank=30)
    record(workflow, 20, rank=1)
    assert slower_nodes(teammate, workflow.pk, 3).slower == []


def test_the_page_of_the_workflow_shows_it(workflow: Workflow, teammate: Any) -> None:
    record(workflow, 10, fetch=10)
    record(workflow, 2, fetch=25)
    html = client_of(teammate).get(f"/admin/workflows/workflow/{workflow.pk}/").content.decode()
    assert "150 % longer" in html.partition('id="slower"')[2]


def test_without_an_earlier_week_there_is_nothing_to_compare(workflow: Workflow, teammate: Any) -> None:
    record(workflow, 2, fetch=25)
    html = client_of(teammate).get(f"/admin/workflows/workflow/{workflow.pk}/").content.decode()
    assert "There is nothing to compare" in html
