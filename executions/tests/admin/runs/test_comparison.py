"""Comparison of a run with the last success, on its page."""

import random
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, Func, TextField, Value
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions import limits
from executions.admin.runs import compare
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.admin.runs.run_page import completed_run, page, part, text
from executions.tests.cast import permissions
from executions.tests.factories import (
    WorkflowExecutionFactory,
    in_state,
    run_with_nodes,
)
from executions.tests.query_plans import plan, uses
from workflows.models import Node, Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory


class TestComparison:
    def test_it_is_folded_and_names_the_last_success_before_the_run(self, workflow: Any, teammate: Any) -> None:
        completed_run(workflow)
        last = completed_run(workflow)
        run = run_with_nodes(workflow)
        run.fail("broke")
        later = completed_run(workflow)
        section = part(page(teammate, run), 'id="compare"', "</section>")
        assert '<details class="run-part">' in section
        assert str(last.pk) in section
        assert str(later.pk) not in section
        assert "durations" not in section

    def test_the_first_node_that_differs_is_shown_with_its_output(self, workflow: Any, teammate: Any) -> None:
        completed_run(workflow, {"n": 1}, rank={"best": ["AAPL", "GOOG"], "n": 2})
        run = completed_run(workflow, {"n": 1}, rank={"best": ["AAPL", "MSFT"], "n": 2}, report={"other": 1})
        section = part(page(teammate, run, "?compare=1"), 'id="compare"', "</section>")
        assert '<details class="run-part" open>' in section
        assert "The first node that differs: rank" in section
        assert 'best[1] "GOOG" "MSFT"' in text(section).replace("&quot;", '"')
        assert section.count("differs</span>") == 2

    def test_a_run_that_did_the_same_is_told_so(self, workflow: Any, teammate: Any) -> None:
        completed_run(workflow)
        section = part(page(teammate, completed_run(workflow), "?compare=1"), 'id="compare"', "</section>")
        assert "Every node has the same input and output." in section

    def test_what_is_shown_as_0_ms_is_as_long(self) -> None:
        assert [compare.describe_change(each) for each in (0.0004, -0.0004, 0.002)] == [
            "as long",
            "as long",
            "2 ms longer",
        ]

    def test_nodes_that_one_run_has_and_the_other_has_not_differ(self, workflow: Any, teammate: Any) -> None:
        completed_run(workflow)
        run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
        section = text(part(page(teammate, run, "?compare=1"), 'id="compare"', "</section>"))
        assert "The first node that differs: fetch" in section
        assert "Now: missing" in section

    def test_without_a_success_it_says_so(self, run: Any, teammate: Any) -> None:
        assert "No run of this workflow succeeded" in page(teammate, run, "?compare=1")

    def test_it_takes_the_same_queries_for_any_number_of_nodes(self, staff: Any) -> None:
        def queries(nodes: int) -> int:
            workflow = WorkflowFactory(chain=[f"n{i}" for i in range(nodes)])
            completed_run(workflow)
            run = completed_run(workflow, n1={"other": 1})
            client = Client()
            client.force_login(staff)
            with CaptureQueriesContext(connection) as found:
                client.get(f"/admin/executions/workflowexecution/{run.pk}/change/?compare=1&part=comparison")
            return len(found)

        assert queries(2) == queries(30) <= 22  # eight of them bound the time

    def test_large_documents_are_compared_by_digest(self, workflow: Any, teammate: Any) -> None:
        noise = [b64encode(random.Random(seed).randbytes(182_250)).decode() for seed in (1, 2)]  # 243,000 letters
        completed_run(workflow, {"big": noise[0]}, rank={"big": noise[0]})
        run = completed_run(workflow, {"big": noise[1]}, rank={"big": noise[1]})
        section = part(page(teammate, run, "?compare=1"), 'id="compare"', "</section>")
        assert "The first node that differs: rank" in section
        assert section.count("It differs, but is too large to show the differences.") == 2
        again = part(
            page(teammate, completed_run(workflow, {"big": noise[1]}, rank={"big": noise[1]}), "?compare=1"),
            'id="compare"',
            "</section>",
        )
        assert "Every node has the same input and output." in again
        assert "too large" not in again

    @pytest.mark.slow
    def test_the_last_of_1100_nodes_is_compared(self, teammate: Any) -> None:
        workflow = WorkflowFactory(owner=teammate)
        nodes = Node.objects.bulk_create(
            Node(workflow=workflow, name=f"n{i:04}", node_type="tool") for i in range(1_100)
        )
        runs = []
        for number in range(2):
            runs.append(run := in_state(WorkflowExecutionFactory(workflow=workflow), "running"))
            NodeExecution.objects.bulk_create(
                NodeExecution(
                    workflow_execution=run,
                    node=node,
                    execution_order=place,
                    input_data={"n": place == 1_050 and number},
                )
                for place, node in enumerate(nodes)
            )
            run.complete()
        section = part(page(teammate, runs[1], "?compare=1"), 'id="compare"', "</section>")
        assert "1 of 1100 nodes differ." in section
        assert "The first node that differs: n1050" in section
        assert "The table shows the first 1000 of 1100 nodes; all of them were compared." in section

    def test_without_a_right_to_its_nodes_none_is_said_to_be_the_same(self, workflow: Any) -> None:
        completed_run(workflow)
        run = completed_run(workflow)
        reader = UserFactory(is_staff=True)
        reader.user_permissions.add(*permissions("view_workflowexecution"))
        section = part(page(reader, run, "?compare=1"), 'id="compare"', "</section>")
        assert "Every node has the same input and output." not in section
        assert "none was compared" in section

    def test_a_comparison_that_takes_too_long_says_so(self, workflow: Any, teammate: Any, monkeypatch: Any) -> None:
        completed_run(workflow)
        run = completed_run(workflow)
        slow = {"input_data_digest": Func(Value(2), function="pg_sleep", output_field=TextField())}
        monkeypatch.setattr(compare, "_digests", lambda _names: slow)
        monkeypatch.setattr(limits, "COMPARISON_MS", 50)
        assert "The two runs could not be compared in time." in page(teammate, run, "?compare=1")

    def test_numbers_that_python_refuses_and_nesting_are_no_500(self, workflow: Any, teammate: Any) -> None:
        completed_run(workflow)
        run = completed_run(workflow)
        number, deep = "1" * 5000, "[" * 900 + "]" * 900
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE workflow_executions SET input_data = %s::jsonb, output_data = %s::jsonb WHERE id = %s",
                [number, deep, run.pk],
            )
        assert "111111" in page(teammate, run, "?compare=1")


def test_the_last_success_is_looked_for_90_days_back(workflow: Workflow, staff: Any) -> None:
    then, run = completed_run(workflow), run_with_nodes(workflow)
    WorkflowExecution.objects.filter(pk=then.pk).update(created_at=F("created_at") - timedelta(days=89))
    assert compare.last_success(staff, run) == then
    WorkflowExecution.objects.filter(pk=then.pk).update(created_at=F("created_at") - timedelta(days=2))
    assert compare.last_success(staff, run) is None


def test_the_last_success_is_read_off_the_index_on_the_runs_of_a_workflow(only: Any, run: Any, staff: Any) -> None:
    only("workflow_executions", "idx_workflow_executions_workflow")
    assert uses(plan(compare.successful_runs(staff, run)[:1]), "idx_workflow_executions_workflow")


class TestUsualDurations:
    def ended(self, workflow: Workflow, days_ago: float, **seconds: float) -> WorkflowExecution:
        made = timezone.now() - timedelta(days=days_ago)
        run = WorkflowExecutionFactory(workflow=workflow, created_at=made)
        run.start(at=made)
        for name, took in seconds.items():
            node = run.add_node(workflow.nodes.get(name=name))
            node.start(at=made)
            node.complete(at=made + timedelta(seconds=took))
        run.complete(at=made + timedelta(hours=1))
        return run

    def row(self, user: Any, run: WorkflowExecution, name: str) -> str:
        section = part(page(user, run, "?compare=1"), 'class="ledger-table durations"', "</table>")
        return text(part(section, f">{name}</a>", "</tr>"))

    def test_a_node_is_compared_with_the_week_before_the_run_and_the_week_before_that(
        self, workflow: Any, teammate: Any
    ) -> None:
        for seconds in (9, 10, 11):
            self.ended(workflow, 13, fetch=seconds / 2, rank=seconds)
            self.ended(workflow, 6, fetch=seconds, rank=seconds)
        run = self.ended(workflow, 1, fetch=25, rank=10)
        self.ended(workflow, 0.1, fetch=100, rank=100)
        assert "10.0 s 150 % longer 5.0 s 400 % longer" in self.row(teammate, run, "fetch")
        assert "10.0 s as long 10.0 s as long" in self.row(teammate, run, "rank")
        html = page(teammate, run, "?compare=1")
        assert html.count("median is-slower") == 2
        assert "the newest 3 completed runs of the 7 days before this run; “The week before” is that of 3" in html

    def test_a_node_that_ran_too_rarely_has_no_usual_duration(self, workflow: Any, teammate: Any) -> None:
        for _number in range(3):
            self.ended(workflow, 3, rank=10)
        self.ended(workflow, 3, fetch=10)
        run = self.ended(workflow, 1, fetch=25, rank=8)
        assert self.row(teammate, run, "fetch").endswith("longer – –")
        assert "10.0 s 20 % shorter –" in self.row(teammate, run, "rank")

    def test_without_runs_in_both_weeks_neither_such_columns_nor_their_explanation_are_there(
        self, workflow: Any, teammate: Any
    ) -> None:
        self.ended(workflow, 20, fetch=10)
        html = page(teammate, self.ended(workflow, 1, fetch=25), "?compare=1")
        assert "The week before</th>" not in html
        assert "“Usual” is the median" not in html

    def test_it_is_compared_although_what_is_usual_takes_too_long(
        self, workflow: Any, teammate: Any, monkeypatch: Any
    ) -> None:
        self.ended(workflow, 3, fetch=10)
        run = self.ended(workflow, 1, fetch=25)
        monkeypatch.setattr(compare, "_weeks", lambda *_any: connection.cursor().execute("SELECT pg_sleep(2)"))
        monkeypatch.setattr(limits, "COMPARISON_MS", 300)
        assert "15.0 s longer" in text(page(teammate, run, "?compare=1"))
