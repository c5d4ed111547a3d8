"""Changes of a workflow between its runs, on its page."""

from typing import Any

from executions import limits
from executions.tests.admin.workflow.workflow_page import RUNS, html, page, run_in_states, section
from workflows.models import Edge, Node, Workflow
from workflows.tests.factories import EdgeFactory, NodeFactory


class TestChanges:
    def told(self, user: Any, workflow: Workflow) -> list[dict[str, list[str]]]:
        found = page(user, workflow).context["changes"]
        return [{str(difference.title): difference.names for difference in each.differences} for each in found]

    def test_what_changed_between_two_runs_is_told_in_words(self, staff: Any, workflow: Workflow) -> None:
        run_in_states(workflow)
        rank, report = (workflow.nodes.get(name=name) for name in ("rank", "report"))
        Node.objects.filter(pk=rank.pk).leave()
        new = NodeFactory(workflow=workflow, name="score")
        EdgeFactory(workflow=workflow, source_node=new, target_node=report)
        Node.objects.filter(pk=report.pk).update(name="tell", node_type="agent")
        run_in_states(workflow)
        assert self.told(staff, workflow) == [
            {
                "Nodes added": ["score"],
                "Nodes retired": ["rank"],
                "Nodes renamed": ["report → tell"],
                "Types of nodes changed": ["tell: tool → agent"],
                "Edges added": ["score → tell"],
                "Edges removed": ["fetch → rank", "rank → tell"],
            }
        ]

    def test_an_edge_that_is_still_the_same_one_can_change(self, staff: Any, workflow: Workflow) -> None:
        run_in_states(workflow)
        Edge.objects.filter(source_node__name="fetch").update(priority=5, label="first")
        run_in_states(workflow)
        assert self.told(staff, workflow) == [{"Edges changed": ["fetch → rank (priority, label)"]}]

    def test_nodes_that_only_moved_are_said_to_have_moved(self, staff: Any, workflow: Workflow) -> None:
        run_in_states(workflow)
        Node.objects.filter(name="fetch").update(position_x=5)
        run_in_states(workflow)
        assert "Only the places of nodes in the editor changed." in section(html(staff, workflow), "changes")

    def test_they_are_marked_in_chart_and_grid_and_lead_to_the_words(self, staff: Any, workflow: Workflow) -> None:
        run_in_states(workflow)
        NodeFactory(workflow=workflow, name="late")
        run = run_in_states(workflow)
        text = html(staff, workflow)
        assert 'href="#change-1"' in section(text, "durations")
        assert '<li id="change-1"' in section(text, "changes")
        assert f"{RUNS}{run.pk}/change/" in section(text, "changes")
        assert section(text, "grid").count('class="changed"') == 1
        assert [column.change is not None for column in page(staff, workflow).context["grid"]["drawn"].columns] == [
            False,
            True,
        ]

    def test_runs_of_one_definition_have_none(self, staff: Any, workflow: Workflow) -> None:
        for _ in range(2):
            run_in_states(workflow)
        assert "were all made with the same definition" in html(staff, workflow)

    def test_of_many_the_newest_are_told(self, staff: Any, workflow: Workflow, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "DESCRIBED_CHANGES", 1)
        for number in range(3):
            run_in_states(workflow)
            NodeFactory(workflow=workflow, name=f"late {number}")
        context = page(staff, workflow).context
        assert [each.change.number for each in context["changes"]] == [2]
        assert "1 earlier change is marked above" in html(staff, workflow)
