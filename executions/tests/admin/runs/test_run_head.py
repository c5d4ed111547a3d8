"""The head of a run's page: its neighbours, how far it is, who cancelled it; what can be copied; the tab."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from executions.audit import act_as
from executions.models import WorkflowExecution
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow

pytestmark = pytest.mark.django_db
RUNS = "/admin/executions/workflowexecution"


def page(user: Any, run: WorkflowExecution, query: str = "") -> str:
    return client_of(user).get(f"{RUNS}/{run.pk}/change/{query}").content.decode()


def link(html: str, rel: str) -> str:
    found = re.search(rf'<a href="([^"]+)" rel="{rel}"', html)
    return found[1] if found else ""


def test_a_run_leads_to_those_of_its_workflow_before_and_after_it(workflow: Workflow, teammate: Any) -> None:
    first, middle, last = (WorkflowExecutionFactory(workflow=workflow) for _number in range(3))
    WorkflowExecutionFactory()
    html = page(teammate, middle)
    assert (link(html, "prev"), link(html, "next")) == (f"{RUNS}/{first.pk}/change/", f"{RUNS}/{last.pk}/change/")
    assert link(page(teammate, first), "prev") == link(page(teammate, last), "next") == ""


def test_the_tab_shows_the_status_in_its_title_and_icon(workflow: Workflow, teammate: Any) -> None:
    html = page(teammate, in_state(WorkflowExecutionFactory(workflow=workflow), "failed"))
    assert re.search(r"<title>✕ momentum, \d{4}-", html)
    assert re.search(r'id="status-icon" href="/static/executions/status_failed[^"]*"', html)


def test_a_running_run_shows_how_far_it_is_of_what_is_usual(workflow: Workflow, teammate: Any) -> None:
    now = timezone.now()
    for number in range(20):
        run = WorkflowExecutionFactory(workflow=workflow, created_at=now - timedelta(days=1, minutes=number))
        run.start(at=run.created_at)
        run.complete(at=run.created_at + timedelta(hours=10))
    run = WorkflowExecutionFactory(workflow=workflow, created_at=now - timedelta(hours=5))
    run.start(at=now - timedelta(hours=5))
    assert "50 % of what is usual: 10 h 0 min" in page(teammate, run)


def test_the_time_that_a_run_takes_is_counted_on_until_its_end(workflow: Workflow, teammate: Any) -> None:
    run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
    assert re.search(
        r'· <time class="clock" datetime="[^"]+" title="[^"]+">\d+ ms</time> so far</span>', page(teammate, run)
    )
    run.complete()
    assert 'class="clock"' not in page(teammate, run)


def test_without_enough_runs_nothing_is_usual(workflow: Workflow, teammate: Any) -> None:
    assert "<progress" not in page(teammate, in_state(WorkflowExecutionFactory(workflow=workflow), "running"))


def test_a_cancelled_run_says_by_whom_and_why_in_its_head(workflow: Workflow, staff: Any) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    with act_as(user=staff, reason="the exchange is closed"):
        run.cancel()
    html = page(staff, run)
    assert re.search(r"Cancelled by staff at [^<]+: the exchange is closed", html)
    assert "run-cancelled" not in page(staff, in_state(WorkflowExecutionFactory(workflow=workflow), "completed"))


def test_the_id_and_the_data_can_be_copied(workflow: Workflow, teammate: Any) -> None:
    run = WorkflowExecutionFactory(workflow=workflow, input_data={"day": 1})
    html = page(teammate, run)
    assert f'data-copy="{run.pk}"' in html
    assert 'data-copy-beside="pre"' in html


def test_the_pages_of_a_run_and_of_a_node_have_the_command_that_reads_their_data_over_the_api(
    workflow: Workflow, teammate: Any, api: Any
) -> None:
    node = NodeExecutionFactory(workflow_execution__workflow=workflow)
    admin, program = client_of(teammate), api(teammate)
    for model, noun, row in (
        ("workflowexecution", "executions", node.workflow_execution),
        ("nodeexecution", "node-executions", node),
    ):
        html = admin.get(f"/admin/executions/{model}/{row.pk}/change/").content.decode()
        [command] = re.findall(r'data-copy="(curl [^"]+)"', html)
        address = command.removeprefix("curl -H &quot;Authorization: Bearer $TOKEN&quot; ")
        assert address == f"http://testserver/api/v1/{noun}/{row.pk}/"
        assert program.get(address).json()["id"] == str(row.pk)


def test_the_link_to_a_line_can_be_copied(workflow: Workflow, teammate: Any) -> None:
    line = ExecutionLogFactory(workflow_execution__workflow=workflow)
    html = client_of(teammate).get(f"/admin/executions/executionlog/{line.pk}/change/").content.decode()
    assert f"logs/?at={line.pk}#line-{line.pk}" in html.partition("data-copy-address=")[2][:200]


def test_any_two_runs_are_compared_and_the_address_holds_both(workflow: Workflow, teammate: Any) -> None:
    other = in_state(WorkflowExecutionFactory(workflow=workflow, input_data={"day": 1}), "failed")
    run = in_state(WorkflowExecutionFactory(workflow=workflow, input_data={"day": 2}), "failed")
    html = page(teammate, run, f"?compare={other.pk}")
    assert "Compared with another run" in html
    assert "Input and output of the run" in html


@pytest.mark.parametrize("named", ["", "1"])
def test_a_run_is_compared_with_the_last_success_unless_another_is_named(
    named: str, workflow: Workflow, teammate: Any
) -> None:
    html = page(teammate, WorkflowExecutionFactory(workflow=workflow), f"?compare={named}")
    assert "Compared with the last success" in html
    assert "compare-refusal" not in html


@pytest.mark.parametrize("named", ["zzz", "019ab0c4-0000-7000-8000-0000000000ff"])
def test_a_run_that_is_not_there_is_not_silently_replaced(named: str, workflow: Workflow, teammate: Any) -> None:
    html = page(teammate, WorkflowExecutionFactory(workflow=workflow), f"?compare={named}")
    assert "Compared with the last success" in html
    assert "The run of the address is not there, or you may not see it: this is the last success." in html


def test_a_run_is_not_compared_with_itself(workflow: Workflow, teammate: Any) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    assert "The address names this run itself" in page(teammate, run, f"?compare={run.pk}")


def test_a_run_of_another_workflow_is_named_after_it(workflow: Workflow, teammate: Any) -> None:
    run, other = WorkflowExecutionFactory(workflow=workflow), WorkflowExecutionFactory(workflow__name="Weekly <b>")
    own = WorkflowExecutionFactory(workflow=workflow)
    assert "of another workflow: Weekly &lt;b&gt;" in page(teammate, run, f"?compare={other.pk}")
    assert "of another workflow" not in page(teammate, run, f"?compare={own.pk}")


def test_two_runs_are_picked_in_the_list_to_be_compared(workflow: Workflow, teammate: Any) -> None:
    older, newer, third = (WorkflowExecutionFactory(workflow=workflow) for _number in range(3))
    client: Client = client_of(teammate)
    picked = {"action": "compare", "index": "0", "_selected_action": [newer.pk, older.pk]}
    assert client.post(f"{RUNS}/", picked)["Location"] == f"{RUNS}/{newer.pk}/change/?compare={older.pk}#compare"
    three = picked | {"_selected_action": [older.pk, newer.pk, third.pk]}
    assert "Select two runs" in client.post(f"{RUNS}/", three, follow=True).content.decode()
