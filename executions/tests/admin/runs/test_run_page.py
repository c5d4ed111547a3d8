"""The page of a run: the first failure and its cascade, the graph, the timeline, a chosen node, the last success."""

import re
from typing import Any

from executions import limits
from executions.models import WorkflowExecution
from executions.tests.admin.runs.run_page import MARKUP, completed_run, execution, page, part, text
from executions.tests.cast import permissions
from executions.tests.factories import (
    WorkflowExecutionFactory,
    in_state,
    run_with_nodes,
)
from executions.tests.query_plans import plan, uses
from workflows.tests.factories import NodeFactory, UserFactory, WorkflowFactory


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

    def test_only_nodes_after_the_failed_one_are_skipped_because_of_it(self, workflow: Any, teammate: Any) -> None:
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

    def test_the_parts_of_the_page_need_the_permission_too(self, run: Any, stranger: Any, newcomer: Any) -> None:
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
