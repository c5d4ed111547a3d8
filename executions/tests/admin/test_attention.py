"""Marks and filters of what needs attention, on the pages."""

from typing import Any
from uuid import UUID

import pytest
from django.utils import translation

from executions import attention
from executions.admin.attention_marks import build_mark
from executions.models import WorkflowExecution
from executions.tests.admin.monitor.front_page import found, front_page_of
from executions.tests.attention import HOURS_2, age, ago, node_in, queued_for, restless_runs, running_for
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import WorkflowFactory

pytestmark = pytest.mark.django_db


def run_page(run: WorkflowExecution) -> str:
    return f"/admin/executions/workflowexecution/{run.pk}/change/"


@pytest.fixture
def restless() -> dict[str, WorkflowExecution]:
    return restless_runs(WorkflowFactory())


def test_the_monitor_shows_it_before_anything_else(staff: Any, restless: Any) -> None:
    html = front_page_of(staff)
    assert html.index('id="monitor-attention"') < html.index("monitor-tiles")
    shown = found(staff, "attention")
    order = [restless[question].pk for question in attention.QUESTIONS]
    assert [row.run.pk for row in shown["rows"]] == order
    listed = client_of(staff).get(shown["count"].address).context["cl"].result_list
    assert {row.pk for row in listed} == set(order)


def test_without_such_a_run_the_monitor_says_nothing(staff: Any) -> None:
    running_for(30)
    assert 'id="monitor-attention"' not in front_page_of(staff)


def test_each_reason_for_attention_is_a_filter_of_the_list(staff: Any, restless: Any) -> None:
    for question in attention.QUESTIONS:
        page = client_of(staff).get(f"/admin/executions/workflowexecution/?attention={question}")
        assert [row.pk for row in page.context["cl"].result_list] == [restless[question].pk]
        assert f'class="attention attention-{question}"' in page.content.decode()


def test_run_and_node_show_the_evidence(staff: Any) -> None:
    run = running_for(HOURS_2)
    node = age(node_in(run, timeout_seconds=60), HOURS_2)
    said = "No heartbeat, no transition and no line for 2 h 0 min."
    assert said in client_of(staff).get(run_page(run)).content.decode()
    page = client_of(staff).get(f"/admin/executions/nodeexecution/{node.pk}/change/").content.decode()
    assert said in page
    assert "Its time-out of 1 min 0 s was exceeded 1 h 59 min ago" in page
    listed = client_of(staff).get("/admin/executions/nodeexecution/?attention=silent").content.decode()
    assert 'class="attention attention-silent"' in listed


def test_a_queued_run_that_nobody_starts_says_so_and_what_to_do(staff: Any) -> None:
    head = queued_for(HOURS_2, WorkflowFactory())
    page = client_of(staff).get(run_page(head)).content.decode()
    said = "It has been its turn for 2 h 0 min, and no engine has started it."
    assert f"{said} Start its engine, or cancel it." in page
    assert "it is its turn: no engine has started it yet" not in page  # said once
    queued_for(60, head.workflow)
    assert (
        f"{said} 1 queued run waits for it. Start its engine" in client_of(staff).get(run_page(head)).content.decode()
    )
    assert said in front_page_of(staff)
    listed = client_of(staff).get("/admin/executions/workflowexecution/?status=pending").content.decode()
    assert listed.count('class="attention attention-unstarted"') == 1


def test_the_monitor_says_for_how_long_it_has_been_its_turn(staff: Any) -> None:
    queued_for(HOURS_2, WorkflowFactory())
    [row] = found(staff, "attention")["rows"]
    assert row.duration == "2 h 0 min"


def test_of_two_queued_runs_of_one_moment_one_is_in_turn(staff: Any) -> None:
    workflow = WorkflowFactory()
    runs = [queued_for(60, workflow) for _ in range(2)]
    WorkflowExecution.objects.filter(workflow=workflow).update(created_at=ago(60))
    reasons = {row.run.pk: (row.reason, row.behind) for row in found(staff, "waiting")["rows"]}
    first, second = sorted(run.pk for run in runs)
    assert reasons == {first: ("turn", None), second: ("queue", first)}


def test_an_owner_sees_no_run_of_another(staff: Any, restless: Any) -> None:
    other = WorkflowFactory().owner
    assert attention.find_runs(other, 10) == {}
    owner = restless["late"].workflow.owner
    assert len(attention.find_runs(owner, 10)) == 4


def test_each_sentence_names_its_evidence() -> None:
    def sentence(question: str, lease_expired: bool | None = None) -> str:
        return build_mark(attention.Finding(question, UUID(int=1), None, ago(65), lease_expired, 60)).sentence

    with translation.override("en"):
        assert sentence("overdue", True) == (
            "Its lease of 1 min 0 s expired 1 min 5 s ago, and upkeep has not ended it yet."
        )
        many = attention.Finding("unstarted", UUID(int=1), None, ago(65), None, None, behind=1_000)
        assert "1,000 queued runs or more wait for it." in build_mark(many).sentence
        assert sentence("late").startswith("It takes longer than usual: 95 of 100 runs")
