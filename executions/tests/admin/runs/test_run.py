"""The page of a run: the first failure and its cascade, the graph, the timeline, a chosen node, the last success."""

import random
import re
from datetime import timedelta
from pathlib import Path
from string import ascii_letters
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, Func, TextField, Value
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from executions import limits
from executions.admin import statuses
from executions.admin.runs import compare
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.database.test_list_plans import only, plan, uses
from executions.tests.factories import (
    ExecutionLogFactory,
    NodeExecutionFactory,
    WorkflowExecutionFactory,
    in_state,
    run_with_nodes,
)
from workflows import drawing
from workflows.models import Edge, Node, Workflow
from workflows.tests.factories import EdgeFactory, NodeFactory, UserFactory, WorkflowFactory

__all__ = ["only"]  # a fixture
MARKUP = "<script>alert(1)</script>"


def page(user: Any, run: Any, query: str = "", status: int = 200) -> str:
    client = Client()
    client.force_login(user)
    response = client.get(reverse("admin:executions_workflowexecution_change", args=[run.pk]) + query)
    assert response.status_code == status
    return response.content.decode()


def part(html: str, start: str, end: str) -> str:
    return html[html.index(start) :].partition(end)[0]


def text(html: str) -> str:
    """Return the texts of the page."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def execution(run: Any, name: str) -> Any:
    return run.node_executions.get(node__name=name)


def completed_run(workflow: Any, output: Any = None, **outputs: Any) -> WorkflowExecution:
    """A run whose nodes completed, each with its output of `outputs`."""
    run = run_with_nodes(workflow)
    for node in run.node_executions.all():
        in_state(node, "running").complete(outputs.get(node.node.name, {"ok": True}))
    run.complete(output)
    return run


@pytest.fixture
def run(workflow: Any) -> WorkflowExecution:
    return run_with_nodes(workflow)


class TestFailure:
    def test_the_node_that_failed_first_is_named_with_its_traceback_open(self, workflow: Any, teammate: Any) -> None:
        NodeFactory(workflow=workflow, name="aside")
        run = run_with_nodes(workflow)
        in_state(execution(run, "report"), "running").fail("failed first", "its traceback")
        in_state(execution(run, "aside"), "running").fail("failed later", "another traceback")
        error = part(page(teammate, run), "ledger-error", "</section>")
        assert "report failed" in text(error)
        assert re.search(r"<details open>\s*<summary>Traceback</summary>\s*<pre>its traceback", error)
        assert re.search(r"<details>\s*<summary>Traceback</summary>\s*<pre>another traceback", error)
        assert "1 more node failed" in error

    def test_of_many_failures_the_first_ones_are_shown_and_all_counted(self, workflow: Any, teammate: Any) -> None:
        for i in range(limits.FAILED_NODES + 3):
            NodeFactory(workflow=workflow, name=f"shard {i}")
        run = run_with_nodes(workflow)
        for node in run.node_executions.filter(node__name__startswith="shard"):
            in_state(node, "failed")
        error = part(page(teammate, run), "ledger-error", "</section>")
        assert "22 more nodes failed" in error
        assert "These are the first 19 of them." in error

    def test_nodes_that_the_end_of_the_run_settled_are_counted_and_folded(self, run: Any, teammate: Any) -> None:
        in_state(execution(run, "fetch"), "running").fail("no prices")
        run.fail("stopped")
        error = part(page(teammate, run), "ledger-error", "</section>")
        assert "2 nodes skipped because of it" in error
        folded = part(error, '<details class="fallen-nodes">', "</details>")
        assert "rank" in folded
        assert "report" in folded

    def test_so_is_a_node_that_edges_lead_to_from_the_failed_one_and_no_other(
        self, workflow: Any, teammate: Any
    ) -> None:
        NodeFactory(workflow=workflow, name="aside")
        run = run_with_nodes(workflow)
        in_state(execution(run, "fetch"), "running").fail("no prices")
        execution(run, "report").skip()
        execution(run, "aside").skip()
        folded = part(page(teammate, run), '<details class="fallen-nodes">', "</details>")
        assert "1 node skipped because of it" in folded
        assert "report" in folded
        assert "aside" not in folded

    def test_a_run_that_failed_by_itself_says_why(self, run: Any, teammate: Any) -> None:
        run.fail("the engine was lost")
        error = part(page(teammate, run), "ledger-error", "</section>")
        assert "the engine was lost" in error
        assert "3 nodes skipped because of it" in error

    def test_nodes_that_were_running_are_told_to_be_cancelled(self, run: Any, teammate: Any) -> None:
        in_state(execution(run, "fetch"), "running")
        run.fail("stopped")
        assert "3 nodes skipped or cancelled because of it" in page(teammate, run)

    def test_a_run_without_a_failure_shows_none(self, workflow: Any, teammate: Any) -> None:
        assert "ledger-error" not in page(teammate, completed_run(workflow))

    def test_nodes_skipped_in_a_run_that_completed_are_nobodys_fault(self, run: Any, teammate: Any) -> None:
        run.complete()
        assert "because of it" not in page(teammate, run)


class TestGraph:
    def test_each_node_is_a_box_that_says_what_became_of_it(self, run: Any, teammate: Any) -> None:
        node = in_state(execution(run, "fetch"), "failed")
        svg = part(page(teammate, run), '<svg class="graph', "</svg>")
        assert f'href="?node={node.pk}#node"' in svg
        assert re.search(r'aria-label="fetch: failed, \d+ ms"', svg)
        assert 'aria-label="rank: pending, –; after fetch"' in svg
        assert "✕ failed" in svg

    def test_it_is_the_graph_as_it_was(self, run: Any, teammate: Any) -> None:
        Edge.objects.filter(workflow=run.workflow).delete()
        run.workflow.nodes.filter(name="rank").update(name="renamed")
        svg = part(page(teammate, run), '<svg class="graph', "</svg>")
        assert "rank: pending, –; after fetch" in svg
        assert "renamed" not in svg

    def test_a_node_that_was_not_reported_is_drawn_without_a_link(self, workflow: Any, teammate: Any) -> None:
        run = in_state(WorkflowExecutionFactory(workflow=workflow), "running")
        svg = part(page(teammate, run), '<svg class="graph', "</svg>")
        assert svg.count("not reported</text>") == 3
        assert "<a " not in svg

    def test_the_lines_of_a_failure_that_went_on_stand_out(self, run: Any, teammate: Any) -> None:
        in_state(execution(run, "rank"), "failed")
        run.fail("stopped")
        svg = part(page(teammate, run), '<svg class="graph', "</svg>")
        assert svg.count('class="fallen"') == 1
        assert svg.count("<path d=") == 1

    def test_of_several_executions_of_a_node_the_most_telling_is_shown(self, run: Any, teammate: Any) -> None:
        again = NodeExecutionFactory(workflow_execution=run, node=execution(run, "fetch").node)
        in_state(again, "failed")
        box = part(page(teammate, run), f'<a class="box status-failed" id="box-{again.pk}"', "</a>")
        assert "2×" in box

    def test_a_graph_that_closes_a_circle_with_what_came_later_is_drawn(self, run: Any, teammate: Any) -> None:
        late = NodeFactory(workflow=run.workflow, name="late")
        Edge.objects.filter(workflow=run.workflow).delete()
        nodes = {node.name: node for node in run.workflow.nodes.all()}
        EdgeFactory(workflow=run.workflow, source_node=nodes["report"], target_node=late)
        EdgeFactory(workflow=run.workflow, source_node=late, target_node=nodes["fetch"])
        NodeExecutionFactory(workflow_execution=run, node=late)
        assert "late: pending" in page(teammate, run)

    def test_shapes_are_those_of_the_stylesheet(self) -> None:
        css = (Path(__file__).parents[3] / "static/executions/admin.css").read_text()
        found = dict(re.findall(r'\.status-(\w+) \{.*--shape: "(.)"', css))
        assert found == statuses.SIGNS

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("rank", "rank"), ("extract_orders_of_region_7", "extract_ord…f_region_7"),
            ("일별 매출 집계", "일별 매출 집계"), ("일별 매출 집계와 주간 매출 집계", "일별 매출 … 매출 집계"),
        ],
    )  # fmt: skip
    def test_a_long_name_is_cut_in_its_middle(self, name: str, shown: str) -> None:
        assert drawing.shorten(name, 22) == shown


class TestTimeline:
    def test_a_node_has_a_lane_with_a_bar_for_each_attempt(self, run: Any, teammate: Any) -> None:
        node = in_state(execution(run, "fetch"), "failed")
        node.retry()
        in_state(node, "completed")
        lanes = part(page(teammate, run), "<ol>", "</ol>")
        lane = part(lanes, f"?node={node.pk}", "</li>")
        assert lane.count("bar-failed") == 1
        assert lane.count("bar-completed") == 1
        assert "↻ 2" in lane

    def test_a_node_that_never_started_waits(self, run: Any, teammate: Any) -> None:
        lanes = part(page(teammate, run), "<ol>", "</ol>")
        assert lanes.count("bar-waiting") == 3
        assert "bar-running" not in lanes

    def test_there_is_none_of_a_run_that_has_not_started(self, workflow: Any, teammate: Any) -> None:
        assert "timeline-scroll" not in page(teammate, WorkflowExecutionFactory(workflow=workflow))


class TestChosenNode:
    def test_its_data_error_attempts_and_lines_stand_beside_the_graph(self, run: Any, teammate: Any) -> None:
        node = in_state(execution(run, "fetch"), "failed")
        node.retry()
        in_state(node, "running").fail("second error", "second traceback")
        ExecutionLogFactory(workflow_execution=run, node_execution=node, message="of this node")
        ExecutionLogFactory(workflow_execution=run, message="of the run")
        html = page(teammate, run, f"?node={node.pk}")
        panel = part(html, 'id="node"', "</aside>")
        for said in ("fetch", "went wrong", "second error", "second traceback", "of this node", "Attempt 1"):
            assert said in panel
        assert "of the run" not in panel
        assert html.count('aria-current="true"') == 2  # its box and its lane

    def test_the_panel_is_to_be_had_alone(self, run: Any, teammate: Any) -> None:
        html = page(teammate, run, f"?node={execution(run, 'fetch').pk}&part=panel")
        assert 'id="node"' in html
        assert "<html" not in html

    @pytest.mark.parametrize("query", ["?node=x", "?node=0190f5e5-0000-7000-8000-000000000000", "?node="])
    def test_an_id_that_is_none_is_told(self, run: Any, teammate: Any, query: str) -> None:
        assert ("This run has no such node execution" in page(teammate, run, query)) == (query != "?node=")

    def test_a_node_of_another_run_is_none_of_this_one(self, run: Any, teammate: Any) -> None:
        other = NodeExecutionFactory(workflow_execution__workflow__name="other")
        assert "This run has no such node execution" in page(teammate, run, f"?node={other.pk}")

    def test_an_unknown_part_is_the_whole_page(self, run: Any, teammate: Any) -> None:
        assert "<html" in page(teammate, run, "?part=x")


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

        assert queries(2) == queries(30) <= 14  # four of them bound the time

    def test_large_documents_are_compared_by_digest(self, workflow: Any, teammate: Any) -> None:
        noise = ["".join(random.Random(seed).choices(ascii_letters, k=243_000)) for seed in (1, 2)]
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


class TestFacts:
    def test_who_and_what_started_it(self, workflow: Any, teammate: Any) -> None:
        metadata = {"triggered_by": "kim@example.com", "correlation_id": "night-7"}
        facts = part(page(teammate, run_with_nodes(workflow, metadata=metadata)), '<dl class="ledger-facts"', "</dl>")
        assert "kim@example.com" in facts
        assert "?q=night-7" in facts

    def test_they_are_cut_however_long_they_are(self, workflow: Any, teammate: Any) -> None:
        metadata = {"triggered_by": "x" * 300_000, "correlation_id": "y" * 300_000}
        assert len(page(teammate, run_with_nodes(workflow, metadata=metadata))) < 100_000

    def test_parent_and_children_link_to_each_other(self, workflow: Any, teammate: Any) -> None:
        parent = run_with_nodes(workflow)
        child = WorkflowExecutionFactory(context={"parent_execution_id": str(parent.pk)})
        assert str(child.pk) in page(teammate, parent)
        assert f"/{parent.pk}/change/" in page(teammate, child)

    def test_no_more_children_are_listed_than_are_read(self, workflow: Any, teammate: Any) -> None:
        parent = run_with_nodes(workflow)
        for _ in range(limits.CHILDREN + 2):
            WorkflowExecutionFactory(workflow=workflow, context={"parent_execution_id": str(parent.pk)})
        html = page(teammate, parent)
        assert f"{limits.CHILDREN} children" in html
        assert "there are more" in html

    def test_children_are_found_by_the_index_on_context(self, only: Any, run: Any) -> None:
        only("workflow_executions", "idx_workflow_executions_context")
        found = WorkflowExecution.objects.filter(context__contains={"parent_execution_id": str(run.pk)})
        assert uses(plan(found.order_by().values_list("pk")[: limits.CHILDREN + 1]), "idx_workflow_executions_context")

    def test_a_parent_that_is_gone_is_named(self, workflow: Any, teammate: Any) -> None:
        gone = "0190f5e5-0000-7000-8000-000000000000"
        assert gone in part(
            page(teammate, run_with_nodes(workflow, context={"parent_execution_id": gone})), "<dl", "</dl>"
        )


class TestWhoSees:
    def test_who_may_not_see_nodes_sees_no_graph_no_timeline_of_them_and_no_panel(self, run: Any) -> None:
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("view_workflowexecution"))
        in_state(execution(run, "fetch"), "failed")
        html = page(user, run, f"?node={execution(run, 'fetch').pk}&compare=1")
        assert '<svg class="graph' not in html
        assert "fetch" not in html
        assert "This run has no such node execution" in html

    def test_parts_are_no_way_around_the_login(self, run: Any, stranger: Any, newcomer: Any) -> None:
        query = f"?node={execution(run, 'fetch').pk}&part=panel"
        page(stranger, run, query, status=302)
        page(newcomer, run, query, status=403)


def test_names_with_markup_are_text(staff: Any) -> None:
    workflow = WorkflowFactory(chain=[MARKUP, f"{MARKUP} and long enough to be cut", "'\"><b>x"], name=MARKUP)
    first = completed_run(workflow, {MARKUP: [MARKUP]})
    run = run_with_nodes(workflow, context={"parent_execution_id": str(first.pk)}, metadata={"triggered_by": MARKUP})
    node = in_state(run.node_executions.first(), "failed")
    run.fail(MARKUP)
    for query in ("", f"?node={node.pk}", "?compare=1"):
        html = page(staff, run, query)
        assert MARKUP not in html
        assert "<b>x" not in html


def test_nothing_is_inline(run: Any, staff: Any) -> None:
    html = page(staff, run, f"?node={execution(run, 'fetch').pk}&compare=1")
    assert " style=" not in html
    assert "<style" not in html
    assert not re.search(r" on\w+=", html)
    assert re.search(r'<script type="module" src="[^"]*executions/run[^"]*\.js"></script>', html)


def test_the_last_success_is_looked_for_90_days_back(workflow: Workflow, staff: Any) -> None:
    then, run = completed_run(workflow), run_with_nodes(workflow)
    WorkflowExecution.objects.filter(pk=then.pk).update(created_at=F("created_at") - timedelta(days=89))
    assert compare.last_success(staff, run) == then
    WorkflowExecution.objects.filter(pk=then.pk).update(created_at=F("created_at") - timedelta(days=2))
    assert compare.last_success(staff, run) is None


def test_the_last_success_is_read_off_the_index_on_the_runs_of_a_workflow(only: Any, run: Any, staff: Any) -> None:
    only("workflow_executions", "idx_workflow_executions_workflow")
    assert uses(plan(compare.successful_runs(staff, run)[:1]), "idx_workflow_executions_workflow")
