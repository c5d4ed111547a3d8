"""Grid of a workflow's newest runs."""

from html import unescape
from typing import Any

from django.utils import timezone

from executions import limits
from executions.admin.workflow import status_grid
from executions.models import WorkflowExecution
from executions.tests.admin.workflow.workflow_page import RUNS, SQUARE, html, page, row, run_in_states, section
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.models import uuid7
from ledgerkit.tests.clients import client_of
from workflows.models import Node, Workflow
from workflows.tests.factories import NodeFactory


class TestGrid:
    def test_a_square_leads_to_the_node_of_that_run(self, staff: Any, workflow: Workflow) -> None:
        run = run_in_states(workflow, "failed", rank="failed", report="missing")
        text = section(html(staff, workflow), "grid")
        ((status, link, title, _more, word),) = [found for found in SQUARE.findall(text) if found[0] == "failed"]
        rank = run.node_executions.get(node__name="rank")
        assert unescape(link) == f"{RUNS}{run.pk}/change/?node={rank.pk}#node"
        assert (status, word) == ("failed", "failed")
        assert title.startswith("failed · ")
        panel = client_of(staff).get(unescape(link).partition("#")[0]).context["chosen"]
        assert panel["node"].pk == rank.pk

    def test_runs_stand_from_old_to_new_and_nodes_in_their_order(self, staff: Any, workflow: Workflow) -> None:
        runs = [run_in_states(workflow) for _ in range(3)]
        drawn = page(staff, workflow).context["grid"]["drawn"]
        assert [column.run.pk for column in drawn.columns] == [run.pk for run in runs]
        assert [row.name for row in drawn.rows] == ["fetch", "rank", "report"]
        assert sum(day.columns for day in drawn.days) == 3

    def test_a_node_that_nobody_told_of_is_not_one_that_the_run_never_had(self, staff: Any, workflow: Workflow) -> None:
        run_in_states(workflow, "running", report="missing")
        NodeFactory(workflow=workflow, name="late")
        run_in_states(workflow, "running")
        assert [square and square.kind for square in row(staff, workflow, "report").squares] == [
            status_grid.UNREPORTED,
            "completed",
        ]
        assert [square and square.kind for square in row(staff, workflow, "late").squares] == [None, "completed"]

    def test_a_retired_node_is_there_where_a_shown_run_has_it(self, staff: Any, workflow: Workflow) -> None:
        run_in_states(workflow)
        Node.objects.filter(name="rank").leave()
        run_in_states(workflow)
        found = row(staff, workflow, "rank")
        assert found.is_retired
        assert [square and square.kind for square in found.squares] == ["completed", None]
        assert not row(staff, workflow, "fetch").is_retired
        WorkflowExecution.objects.order_by("created_at").first().delete()
        assert [row.name for row in page(staff, workflow).context["grid"]["drawn"].rows] == ["fetch", "report"]

    def test_a_retry_is_marked_and_told(self, staff: Any, workflow: Workflow) -> None:
        run = run_in_states(workflow, "running", fetch="failed")
        run.node_executions.get(node__name="fetch").retry()
        (square,) = row(staff, workflow, "fetch").squares
        assert (square.kind, square.again) == ("pending", "↻")
        assert square.description == "pending · attempt 2"

    def test_of_several_executions_of_a_node_the_failed_one_is_shown(self, staff: Any, workflow: Workflow) -> None:
        run = run_in_states(workflow, "running")
        again = NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.get(name="fetch"))
        in_state(again, "failed")
        (square,) = row(staff, workflow, "fetch").squares
        assert (square.kind, square.again) == ("failed", "×")
        assert square.description.endswith("2 executions")
        assert str(again.pk) in square.address

    def test_older_and_newer_runs_are_pages_that_meet(self, staff: Any, workflow: Workflow, monkeypatch: Any) -> None:
        monkeypatch.setattr(status_grid, "MAX_COLUMNS", 3)
        monkeypatch.setattr(status_grid, "MIN_COLUMNS", 1)
        runs = [WorkflowExecutionFactory(workflow=workflow).pk for _ in range(8)]
        now = timezone.now()
        WorkflowExecution.objects.filter(pk__in=runs[3:6]).update(created_at=now)  # three of one time
        expected = list(WorkflowExecution.objects.order_by("-created_at", "-id").values_list("pk", flat=True))
        seen: list[Any] = []
        query = ""
        pages = []
        while True:
            found = page(staff, workflow, query).context["grid"]["page"]
            pages.append([run.pk for run in found.runs])
            seen += pages[-1]
            if found.older is None:
                break
            query = f"?older={found.older}"
        assert seen == expected
        back = page(staff, workflow, f"?newer={found.newer}").context["grid"]["page"]
        assert [run.pk for run in back.runs] == pages[1]
        first = page(staff, workflow, f"?newer={back.newer}").context["grid"]["page"]
        assert [run.pk for run in first.runs] == pages[0]
        assert first.newer is None

    def test_a_place_that_is_gone_or_nonsense_leads_to_the_newest(self, staff: Any, workflow: Workflow) -> None:
        run = run_in_states(workflow)
        elsewhere = WorkflowExecutionFactory()
        for place in (str(uuid7()), "x", str(elsewhere.pk), ""):
            found = page(staff, workflow, f"?older={place}").context["grid"]["page"]
            assert [each.pk for each in found.runs] == [run.pk]

    def test_many_nodes_leave_room_for_fewer_runs(self) -> None:
        assert status_grid.columns_for(0) == status_grid.columns_for(10) == status_grid.MAX_COLUMNS
        assert status_grid.columns_for(100) == status_grid.SQUARES // 100
        assert status_grid.columns_for(10_000) == status_grid.MIN_COLUMNS

    def test_it_says_where_it_does_not_show_all(self, staff: Any, workflow: Workflow, monkeypatch: Any) -> None:
        monkeypatch.setattr(status_grid, "ROWS", 2)
        monkeypatch.setattr(limits, "GRID_NODE_EXECUTIONS", 2)
        run_in_states(workflow)
        text = section(html(staff, workflow), "grid")
        assert "1 more node is not shown." in text
        assert "some squares are missing" in text
