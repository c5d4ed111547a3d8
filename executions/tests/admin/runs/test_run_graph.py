"""Graph, timeline and selected node on a run's page."""

import re
from pathlib import Path
from typing import Any

import pytest

from executions.admin import statuses
from executions.tests.admin.runs.run_page import execution, page, part
from executions.tests.factories import (
    ExecutionLogFactory,
    NodeExecutionFactory,
    WorkflowExecutionFactory,
    in_state,
)
from workflows import drawing
from workflows.models import Edge
from workflows.tests.factories import EdgeFactory, NodeFactory


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

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("shop.tasks.price", "shop.tasks.price"), ("accounts.trading.tasks.price", "…s.trading.tasks.price"),
            ("model.dbt_bigquery_test.test_first_dbt_model", "….test_first_dbt_model"),
            ("prod/etl/load_customers", "…od/etl/load_customers"), ("시세.거래소.종목.가격", "시세.거래소.종목.가격"),
            ("전체.시세.거래소.종목.가격", "…시세.거래소.종목.가격"),
            ("거래. 가격을 불러오기: 모든 종목", "거래. 가격… 모든 종목"),
        ],
    )  # fmt: skip
    def test_of_a_long_path_the_end_is_kept(self, name: str, shown: str) -> None:
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
    def test_an_invalid_id_of_a_node_is_reported(self, run: Any, teammate: Any, query: str) -> None:
        assert ("This run has no such node execution" in page(teammate, run, query)) == (query != "?node=")

    def test_a_node_of_another_run_is_none_of_this_one(self, run: Any, teammate: Any) -> None:
        other = NodeExecutionFactory(workflow_execution__workflow__name="other")
        assert "This run has no such node execution" in page(teammate, run, f"?node={other.pk}")

    def test_an_unknown_part_is_the_whole_page(self, run: Any, teammate: Any) -> None:
        assert "<html" in page(teammate, run, "?part=x")
