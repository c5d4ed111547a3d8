"""The page of a workflow: its numbers are the lengths of the lists that they lead to, a square leads to its node."""

import re
from datetime import timedelta
from html import unescape
from random import Random
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from executions import limits
from executions.admin.workflow import node_health
from executions.tests.admin.monitor.front_page import count, ended_run
from executions.tests.admin.workflow.workflow_page import (
    LINK,
    MARKUP,
    RUNS,
    address,
    html,
    page,
    run_in_states,
    section,
)
from executions.tests.cast import permissions
from executions.tests.factories import WorkflowExecutionFactory
from ledgerkit.db.models import uuid7
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import NodeFactory, WorkflowFactory


class TestWhoSeesIt:
    def test_staff_who_may_view_runs_may_not_edit(self, teammate: Any, workflow: Workflow) -> None:
        text = html(teammate, workflow)
        assert "momentum" in text
        assert f'<a href="{address(workflow)}change/">Definition</a>' in text
        assert ">Edit<" not in text

    def test_who_may_change_the_workflow_has_the_form_at_hand(self, staff: Any, workflow: Workflow) -> None:
        assert f'<a href="{address(workflow)}change/">Edit</a>' in html(staff, workflow)

    def test_strangers_are_sent_to_the_login(self, stranger: Any, owner: Any, workflow: Workflow) -> None:
        page(stranger, workflow, status=302)
        page(owner, workflow, status=302)  # not staff
        assert Client().get(address(workflow)).status_code == 302

    def test_who_may_not_see_runs_is_told_so(self, newcomer: Any, workflow: Workflow) -> None:
        newcomer.user_permissions.set(permissions("view_workflow"))
        text = html(newcomer, workflow, status=403)
        assert "You may not see runs" in text
        assert f'href="{address(workflow)}change/"' in text
        assert "momentum" not in text

    def test_who_may_not_see_nodes_sees_how_long_runs_took(self, newcomer: Any, workflow: Workflow) -> None:
        newcomer.user_permissions.set(permissions("view_workflowexecution"))
        run_in_states(workflow)
        text = html(newcomer, workflow)
        assert "but not their nodes" in text
        assert "Duration over time" in text
        assert "fetch" not in text

    def test_who_may_change_but_not_view_sees_their_own(self, newcomer: Any, workflow: Workflow) -> None:
        newcomer.user_permissions.set(permissions("change_workflowexecution"))
        mine = WorkflowFactory(owner=newcomer, chain=["mine"])
        run = run_in_states(mine)
        assert [found.pk for found in page(newcomer, mine).context["runs"]] == [run.pk]
        page(newcomer, workflow, status=404)

    @pytest.mark.parametrize("id", ["abc", "019ab0c4-0000-7000-8000-0000000000ff"])
    @pytest.mark.parametrize("view", ["", "change/", "delete/", "history/"])
    def test_what_is_not_there_has_a_page_that_says_so(self, id: str, view: str, staff: Any) -> None:
        response = client_of(staff).get(f"/admin/workflows/workflow/{id}/{view}", follow=True)
        assert response.status_code == 404
        assert f"There is no workflow with the id {id}, or you may not see it." in response.content.decode()


class TestWaysThere:
    def test_the_list_of_workflows_leads_there_and_to_the_form(self, staff: Any, workflow: Workflow) -> None:
        text = client_of(staff).get("/admin/workflows/workflow/").content.decode()
        assert f'<a href="{address(workflow)}">momentum</a>' in text
        assert f'<a href="{address(workflow)}change/" aria-label="Edit momentum">Edit</a>' in text

    def test_who_may_not_see_runs_finds_the_form_alone(self, newcomer: Any, workflow: Workflow) -> None:
        newcomer.user_permissions.set(permissions("view_workflow"))
        text = client_of(newcomer).get("/admin/workflows/workflow/").content.decode()
        assert f'<a href="{address(workflow)}change/">momentum</a>' in text
        assert f'href="{address(workflow)}"' not in text

    def test_monitor_form_and_run_lead_there(self, staff: Any, workflow: Workflow) -> None:
        run = run_in_states(workflow)
        client = client_of(staff)
        for start in ("/admin/", f"{address(workflow)}change/", f"{RUNS}{run.pk}/change/"):
            assert f'href="{address(workflow)}"' in client.get(start).content.decode(), start

    def test_in_the_list_of_runs_the_name_leads_there_and_the_status_to_the_run(
        self, staff: Any, workflow: Workflow
    ) -> None:
        run = run_in_states(workflow)
        text = client_of(staff).get(RUNS).content.decode()
        assert f'<td class="field-named_workflow"><a href="{address(workflow)}">momentum</a></td>' in text
        assert re.search(rf'<th class="field-state"><a href="{RUNS}{run.pk}/change/">.*completed', text)


class TestNumbers:
    def test_each_is_the_length_of_the_list_that_it_leads_to(
        self, staff: Any, workflow: Workflow, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(limits, "RECENT_RUNS", 9)
        random = Random(2)
        for _ in range(14):  # more than are counted
            run_in_states(workflow, "failed", **{random.choice(["fetch", "rank", "report"]): "failed"})
        client = client_of(staff)
        text = client.get(address(workflow)).content.decode()
        table = section(text, "graph").partition("<tbody>")[2]
        seen = [(unescape(link), int(said)) for link, said in LINK.findall(table) if said.isdigit()]
        assert len(seen) == 9  # three nodes
        assert sum(number for _link, number in seen) == 2 * 3 * 9
        for link, number in seen:
            assert count(client, link) == number, link

    def test_those_of_the_last_days_are_the_monitors(self, staff: Any, workflow: Workflow) -> None:
        for state, number in (("completed", 21), ("failed", 6), ("cancelled", 1)):
            for each in range(number):
                ended_run(state, timedelta(days=1, minutes=each), workflow, seconds=10 + each)
        ended_run("failed", timedelta(days=9), workflow)
        client = client_of(staff)
        (mine,) = client.get(address(workflow)).context["health"]
        (monitors,) = client.get("/admin/").context["monitor"]["workflows"].found
        assert (
            (mine.success, mine.p50, mine.p95)
            == (monitors.success, monitors.p50, monitors.p95)
            == (77.8, "20.0 s", "29.0 s")
        )
        for each in (mine.ended, mine.chart.completed, mine.chart.failed):
            assert count(client, each.address) == each.number

    def test_a_node_is_judged_by_what_completed_and_failed(self, staff: Any, workflow: Workflow) -> None:
        for _ in range(2):
            run_in_states(workflow, "failed", rank="failed", report="missing")
        graph = page(staff, workflow).context["graph"]
        assert [(name, each.rate, each.success) for name, each in graph["rows"]] == [
            ("fetch", "all", 100.0),
            ("rank", "many", 0.0),
            ("report", "none", None),
        ]
        assert [name for name, _each in graph["worst"]] == ["rank"]
        assert [(each.box.name, each.health.rate) for each in graph["boxes"]] == [
            (name, each.rate) for name, each in graph["rows"]
        ]

    @pytest.mark.parametrize(
        ("completed", "failed", "rate"),
        [(0, 0, "none"), (9, 0, "all"), (9, 1, "some"), (8, 1, "many"), (99_999, 1, "some")],
    )
    def test_a_rate_is_a_word(self, completed: int, failed: int, rate: str) -> None:
        window = node_health.Window(uuid7(), [uuid7()])
        found = window.health(uuid7(), {"completed": completed, "failed": failed})
        assert found.rate == rate
        assert found.success != 100 or not failed

    @pytest.mark.parametrize("value", ["x", "x~3", f"{uuid7()}~0", f"{uuid7()}~201", f"{uuid7()}~", f"{uuid7()}~-1"])
    def test_the_list_refuses_a_filter_that_the_page_does_not_make(self, staff: Any, value: str) -> None:
        response = client_of(staff).get(f"/admin/executions/nodeexecution/?newest_runs={value}")
        assert response.status_code != 200


class TestStates:
    def test_one_that_has_not_run_yet(self, staff: Any, workflow: Workflow) -> None:
        text = html(staff, workflow)
        assert "This workflow has not run yet." in text
        assert "fetch" in section(text, "graph")  # its definition is there all the same
        assert "Duration over time" not in text
        assert 'class="grid"' not in text

    @pytest.mark.parametrize(
        ("fields", "said"),
        [({"is_active": False}, "It is not active"), ({"deleted_at": timezone.now()}, "It is in the trash")],
    )
    def test_one_that_will_not_run_says_why(
        self, staff: Any, workflow: Workflow, fields: dict[str, Any], said: str
    ) -> None:
        Workflow.objects.filter(pk=workflow.pk).update(**fields)
        assert said in html(staff, workflow)

    def test_one_without_nodes_and_with_a_waiting_run(self, staff: Any) -> None:
        workflow = WorkflowFactory()
        WorkflowExecutionFactory(workflow=workflow)
        text = html(staff, workflow)
        assert "The definition has no nodes yet." in text
        assert "Duration over time" not in text  # nothing has taken any time
        assert "no run ended" in text

    def test_one_whose_runs_were_long_ago(self, staff: Any, workflow: Workflow) -> None:
        ended_run("completed", timedelta(days=400), workflow)
        text = html(staff, workflow)
        assert "no run ended" in text
        assert "Duration over time" in text

    def test_a_graph_too_large_to_be_drawn_is_a_table(self, staff: Any, workflow: Workflow, monkeypatch: Any) -> None:
        monkeypatch.setattr("workflows.drawing.MOST_NODES", 2)
        text = section(html(staff, workflow), "graph")
        assert "A graph of 3 nodes is too large to be drawn" in text
        assert "<details open>" in text

    def test_markup_in_names_is_text(self, staff: Any) -> None:
        workflow = WorkflowFactory(name=MARKUP, description=MARKUP, chain=[MARKUP, "b"])
        run_in_states(workflow)
        NodeFactory(workflow=workflow, name=f"{MARKUP}2")
        run_in_states(workflow)
        assert MARKUP not in html(staff, workflow)

    def test_it_loads_nothing_inline(self, staff: Any, workflow: Workflow) -> None:
        run_in_states(workflow)
        text = html(staff, workflow).partition('id="content-main"')[2].partition("</main>")[0]
        assert " style=" not in text
        assert "<style" not in text
        assert "<script" not in text

    def test_which_of_grid_and_graph_is_chosen_stands_in_the_address(self, staff: Any, workflow: Workflow) -> None:
        run_in_states(workflow)
        for query, chosen in (("", "grid"), ("?view=graph", "graph"), ("?view=nonsense", "grid")):
            text = html(staff, workflow, query)
            assert re.findall(r'is-chosen" data-shown="(\w+)"', text) == [chosen]
            assert text.count("data-shown=") == 2  # both are there for whoever has no scripts
