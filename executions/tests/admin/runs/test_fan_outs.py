"""Fan-outs of equals in the graph on a run's page: folded into one box, opened and folded by links."""

import re
from html import unescape
from typing import Any

import pytest

from executions.admin.charts.graph_chart import draw_run
from executions.models import WorkflowExecution
from executions.tests.admin.runs.run_page import execution, page, part, text
from executions.tests.factories import in_state, run_with_nodes
from workflows.drawing import MOST_NODES
from workflows.models import Graph
from workflows.submitted_graph import SubmittedGraph
from workflows.tests.factories import WorkflowFactory


@pytest.fixture
def run(teammate: Any) -> WorkflowExecution:
    """Return a run of a workflow with two fan-outs: of six and of five nodes."""
    workflow = WorkflowFactory(owner=teammate)
    loads, checks = [f"load_{number}" for number in range(1, 7)], [f"check_{number}" for number in range(1, 6)]
    pairs = [*((a, "join") for a in loads), *(("start", a) for a in loads), *(("join", a) for a in checks)]
    names = ["start", *loads, "join", *checks]
    edges = [{"source_node_id": a, "target_node_id": b} for a, b in pairs]
    SubmittedGraph(workflow, [{"name": name, "node_type": "tool"} for name in names], edges).save(workflow)
    return run_with_nodes(workflow)


def graph(html: str) -> str:
    return part(html, '<svg class="graph', "</svg>")


def boxes(html: str) -> list[str]:
    """Return the names in the boxes, in their order."""
    return re.findall(r"<text>([^<]*)</text>", graph(html).partition("</defs>")[2])


def links(html: str) -> dict[str, str]:
    """Return the addresses that open or fold something, by the text or the name of each."""
    found = re.findall(r'<a [^>]*href="(\?open=[^"]*)#graph"[^>]*>(.*?)</a>', html, re.DOTALL)
    return {text(words): unescape(address) for address, words in found}


def box_link(html: str, name: str) -> str:
    return next(address for words, address in links(html).items() if words.endswith("×") and f" {name} " in words)


def test_equal_nodes_are_one_box_with_their_numbers_by_status(run: Any, teammate: Any) -> None:
    in_state(execution(run, "load_2"), "failed")
    for number in (3, 4, 5):
        in_state(execution(run, f"load_{number}"), "completed")
    html = page(teammate, run)
    assert boxes(html) == ["start", "load_…", "join", "check_…"]
    box = part(graph(html), '<a class="box fan-out status-failed"', "</a>")
    assert text(box.partition("</title>")[2]) == "load_… ✕ 1 ◷ 2 ✓ 3 6×"
    assert 'aria-label="load_…: 6 equal nodes, folded; 1 failed, 2 pending, 3 completed; after start"' in box


def test_a_link_opens_a_fan_out_and_another_folds_it(run: Any, teammate: Any) -> None:
    html = page(teammate, run, box_link(page(teammate, run), "load_…"))
    assert boxes(html) == ["start", *(f"load_{number}" for number in range(1, 7)), "join", "check_…"]
    folded = page(teammate, run, links(html)["Fold load_1 … load_6 (6)"])
    assert boxes(folded) == ["start", "load_…", "join", "check_…"]


def test_all_are_opened_and_folded_at_once(run: Any, teammate: Any) -> None:
    html = page(teammate, run, links(page(teammate, run))["Open all 2 fan-outs of equal nodes"])
    assert len(boxes(html)) == 13
    assert boxes(page(teammate, run, links(html)["Fold all"])) == ["start", "load_…", "join", "check_…"]


def test_what_is_selected_stays_when_a_fan_out_is_opened(run: Any, teammate: Any) -> None:
    node = execution(run, "load_3")
    html = page(teammate, run, f"?open=&node={node.pk}")
    box = part(graph(html), '<a class="box fan-out', ">")
    assert 'aria-current="true"' in box
    assert str(node.pk) in part(box, "data-executions=", "aria-current")
    assert f"node={node.pk}" in box_link(html, "load_…")


def test_the_fan_out_of_the_selected_node_is_open_unless_the_address_says_what_is(run: Any, teammate: Any) -> None:
    opened = page(teammate, run, "?open=all")
    href = part(graph(opened), f"?node={execution(run, 'load_3').pk}", "#node")
    html = page(teammate, run, href)
    assert boxes(html) == ["start", *(f"load_{number}" for number in range(1, 7)), "join", "check_…"]
    assert boxes(page(teammate, run, f"{href}&part=graph")) == boxes(html)
    assert boxes(page(teammate, run, links(html)["Fold load_1 … load_6 (6)"])) == ["start", "load_…", "join", "check_…"]


def test_a_link_keeps_what_the_page_takes_and_nothing_else(run: Any, teammate: Any) -> None:
    html = page(teammate, run, "?lanes=all&nodes=2&compare=1&utm=mail&part=page&utm=again")
    shown = {address.partition("&")[2] for address in links(html).values()}
    assert shown == {"nodes=2&lanes=all&compare=1"}


def test_no_fan_outs_are_searched_for_in_a_graph_that_is_too_large() -> None:
    """Give it edges that no search could read."""
    nodes = [{"id": str(number), "name": f"n{number}", "node_type": "tool"} for number in range(MOST_NODES + 1)]
    assert draw_run(Graph(nodes=nodes, edges=[{}]), [], set(), ()) is None


def test_the_first_failed_node_is_reached_in_its_folded_box(run: Any, teammate: Any) -> None:
    node = in_state(execution(run, "load_2"), "failed")
    html = page(teammate, run)
    assert f'href="#box-{node.pk}"' in html
    assert f'id="box-{node.pk}"' in part(graph(html), '<a class="box fan-out', ">")


def test_the_line_from_a_fan_out_shows_that_a_failure_went_on(run: Any, teammate: Any) -> None:
    in_state(execution(run, "load_2"), "failed")
    run.fail("stopped")
    assert graph(page(teammate, run)).count('class="fallen"') >= 1


def test_the_names_of_folded_nodes_are_escaped_and_searched(teammate: Any) -> None:
    workflow = WorkflowFactory(owner=teammate)
    names = [f'<b>"{number}' for number in range(5)]
    edges = [{"source_node_id": "start", "target_node_id": name} for name in names]
    nodes = [{"name": name, "node_type": "tool"} for name in ("start", *names)]
    SubmittedGraph(workflow, nodes, edges).save(workflow)
    box = part(graph(page(teammate, run_with_nodes(workflow))), '<a class="box fan-out', "</a>")
    assert "<b>" not in box
    assert "&lt;b&gt;&quot;3" in part(box, "data-names", "aria-label")


def test_the_graph_is_to_be_had_alone(run: Any, teammate: Any) -> None:
    html = page(teammate, run, "?open=all&part=graph")
    assert len(boxes(html)) == 13
    assert "<html" not in html
    assert "part=graph" not in html


@pytest.mark.parametrize("query", ["?open=x", "?open=", "?open=,,&open=all&open=y"])
def test_a_fan_out_that_is_none_is_passed_over(run: Any, teammate: Any, query: str) -> None:
    assert boxes(page(teammate, run, query)) == ["start", "load_…", "join", "check_…"]


def test_opened_fan_outs_are_in_natural_order_and_fifty_boxes_have_a_map(teammate: Any) -> None:
    workflow = WorkflowFactory(owner=teammate)
    names = [f"n{number}" for number in range(60)]
    edges = [{"source_node_id": "start", "target_node_id": name} for name in names]
    SubmittedGraph(workflow, [{"name": name, "node_type": "tool"} for name in ("start", *names)], edges).save(workflow)
    run = run_with_nodes(workflow)
    assert "graph-map" not in page(teammate, run)
    html = page(teammate, run, "?open=all")
    assert boxes(html) == ["start", *names]
    assert '<svg class="graph-map" aria-hidden="true"' in html
