"""Fan-outs of equals in the graph on a workflow's page, folded as in that of a run."""

import re
from html import unescape
from typing import Any

import pytest

from executions.tests.admin.runs.run_page import part, text
from executions.tests.admin.workflow.workflow_page import html
from executions.tests.factories import NodeExecutionFactory, WorkflowExecutionFactory, in_state
from workflows.models import Workflow
from workflows.submitted_graph import SubmittedGraph
from workflows.tests.factories import WorkflowFactory

LOADS = [f"load_{number}" for number in range(1, 7)]


@pytest.fixture
def workflow(db: None) -> Workflow:
    workflow: Workflow = WorkflowFactory()
    edges = [{"source_node_id": "start", "target_node_id": name} for name in LOADS]
    nodes = [{"name": name, "node_type": "tool"} for name in ("start", *LOADS)]
    SubmittedGraph(workflow, nodes, edges).save(workflow)
    return workflow


def graph(page: str) -> str:
    return part(page, '<svg class="graph', "</svg>")


def boxes(page: str) -> list[str]:
    return re.findall(r"<text>([^<]*)</text>", graph(page).partition("</defs>")[2])


def links(page: str) -> dict[str, str]:
    found = re.findall(r'<a [^>]*href="(\?open=[^"]*)"[^>]*>(.*?)</a>', page, re.DOTALL)
    return {text(words): unescape(address) for address, words in found}


def test_equal_nodes_are_one_box_with_the_numbers_of_their_results(staff: Any, workflow: Workflow) -> None:
    run = WorkflowExecutionFactory(workflow=workflow)
    for name, state in (("load_1", "completed"), ("load_2", "completed"), ("load_3", "failed")):
        in_state(NodeExecutionFactory(workflow_execution=run, node=workflow.nodes.get(name=name)), state)
    shown = html(staff, workflow)
    assert boxes(shown) == ["start", "load_…"]
    box = part(graph(shown), '<a class="box fan-out rate-many"', "</a>")
    assert text(box.partition("</title>")[2]) == "load_… ✕ 1 ✓ 2 ○ 3 6×"
    assert 'aria-label="load_…: 6 equal nodes, folded; many failed: 1, all completed: 2, no result yet: 3"' in box
    assert "load_1, load_2, load_3" in part(box, "<title>", "</title>")
    assert "load_6" in part(shown, 'class="results nodes-scroll"', "</table>")  # the table has all


def test_a_link_opens_a_fan_out_and_others_fold_it(staff: Any, workflow: Workflow) -> None:
    folded = html(staff, workflow, "?utm=mail&view=grid")
    (address,) = {address for words, address in links(folded).items() if words.endswith("×") or "load_…" in words}
    assert re.fullmatch(r"\?open=\w{8}&view=graph#view", address)
    opened = html(staff, workflow, address.partition("#")[0])
    assert boxes(opened) == ["start", *LOADS]
    for words in ("Fold load_1 … load_6 (6)", "Fold all"):
        assert boxes(html(staff, workflow, links(opened)[words].partition("#")[0])) == ["start", "load_…"]
    every = links(folded)["Open 1 fan-out of equal nodes"]
    assert boxes(html(staff, workflow, every.partition("#")[0])) == ["start", *LOADS]


def test_a_workflow_without_fan_outs_has_no_such_links(staff: Any) -> None:
    assert "data-fan-out" not in html(staff, WorkflowFactory(chain=["a", "b"]))
