"""Filters in use are listed above each list, and each can be removed there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from executions import limits, text_search
from executions.admin.runs import related_runs
from executions.models import SavedView
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from ledgerkit.db.timeouts import StatementTimeout
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

RUNS, NODES, LOGS = (f"/admin/executions/{name}/" for name in ("workflowexecution", "nodeexecution", "executionlog"))
DELETIONS, WORKFLOWS, TOKENS = "/admin/executions/deletion/", "/admin/workflows/workflow/", "/admin/tokens/token/"


def chips(client: Client, address: str) -> list[tuple[str, str, str]]:
    found = client.get(address).context["cl"].chips
    return [(str(chip.title), str(chip.words), chip.without) for chip in found]


class TestChips:
    @pytest.mark.parametrize(
        ("path", "query", "title", "words"),
        [
            (RUNS, "status=failed", "status", "failed"),
            (RUNS, "not_status=failed", "status", "failed"),
            (RUNS, "q=nightly", "search", "nightly"),
            (RUNS, "period=7", "time of creation", "Last 7 days"),
            (RUNS, "has_failed_nodes=true", "failed nodes", "With failed nodes"),
            (RUNS, "pace=slow", "pace", "Slower than 95 of 100 runs of its workflow (of the 200 busiest workflows)"),
            (NODES, "status=failed", "status", "failed"),
            (LOGS, "level=error", "level", "error"),
            (DELETIONS, "period=today", "time of the deletion", "Today"),
            (WORKFLOWS, "active=yes", "active", "Yes"),
            (TOKENS, "state=revoked", "state", "Revoked"),
            (TOKENS, "q=night", "search", "night"),
        ],
    )
    def test_a_filter_in_use_stands_above_the_table(
        self, client: Client, path: str, query: str, title: str, words: str
    ) -> None:
        everything = "?view=all" if path in {RUNS, NODES, LOGS} else "?"
        assert chips(client, f"{path}?{query}") == [(title, words, everything)]
        page = client.get(f"{path}?{query}").content.decode()
        assert page.index('class="filter-chips"') < page.index('id="changelist-form"')
        assert f'aria-label="Remove the filter {title}: {words}"' in page

    @pytest.mark.parametrize("path", [RUNS, NODES, LOGS, DELETIONS, WORKFLOWS, TOKENS])
    def test_a_list_without_filters_has_no_chips(self, client: Client, path: str) -> None:
        assert "filter-chips" not in client.get(path).content.decode()

    def test_each_chip_removes_its_own_filter(self, client: Client) -> None:
        address = f"{RUNS}?status=failed&not_trigger_type=event,manual&q=x&period=7"
        assert {(title, words): without for title, words, without in chips(client, address)} == {
            ("search", "x"): "?not_trigger_type=event%2Cmanual&period=7&status=failed",
            ("status", "failed"): "?not_trigger_type=event%2Cmanual&period=7&q=x",
            ("trigger", "event"): "?not_trigger_type=manual&period=7&q=x&status=failed",
            ("trigger", "manual"): "?not_trigger_type=event&period=7&q=x&status=failed",
            ("time of creation", "Last 7 days"): "?not_trigger_type=event%2Cmanual&q=x&status=failed",
        }
        page = client.get(address).content.decode()
        assert "not event" in page
        assert 'class="chip-all"><a href="?view=all"' in page

    def test_a_row_that_another_page_links_to_is_named(self, client: Client) -> None:
        workflow = WorkflowFactory(name="momentum")
        (chip,) = chips(client, f"{RUNS}?workflow={workflow.pk}")
        assert chip == ("workflow", "momentum", "?view=all")

    def test_a_chip_removes_its_filter_and_not_one_with_a_longer_name(self, client: Client) -> None:
        row = ExecutionLogFactory()
        both = f"workflow={row.workflow_execution.workflow_id}&workflow_execution={row.workflow_execution_id}"
        found = {title: without for title, _words, without in chips(client, f"{LOGS}?{both}")}
        assert found["workflow, among the newest 100 runs"] == f"?workflow_execution={row.workflow_execution_id}"


class TestWorkflows:
    """The filter offered 30 of 60 without saying so, and no search."""

    @pytest.fixture(autouse=True)
    def many(self, db: None) -> list[Workflow]:
        owner, names = UserFactory(), (f"flow {number:03}" for number in range(2 * limits.OFFERED_WORKFLOWS))
        return Workflow.objects.bulk_create(Workflow(owner=owner, name=name) for name in names)

    @pytest.mark.parametrize("path", [RUNS, NODES, LOGS])
    def test_a_filter_says_that_it_has_more_choices(self, client: Client, path: str) -> None:
        page = client.get(path).content.decode()
        assert "These are the first 30 by name: find any other by its name." in page
        assert 'name="find_workflow"' in page
        assert 'id="find-workflow"' in page

    @pytest.mark.parametrize("path", [RUNS, NODES, LOGS])
    def test_any_is_found_by_a_part_of_its_name_and_the_other_filters_stay(self, client: Client, path: str) -> None:
        response = client.get(f"{path}?find_workflow=OW 059&period=7")
        page = response.content.decode()
        workflow = Workflow.objects.get(name="flow 059")
        assert f'name="workflow" value="{workflow.pk}"' in page
        assert "flow 000" not in page
        assert '<option value="7" selected>' in page.partition('class="filter-bar"')[2].partition("</form>")[0]

    def test_what_nothing_has_in_its_name(self, client: Client) -> None:
        page = client.get(f"{RUNS}?find_workflow=nope").content.decode()
        assert "No workflow has “nope” in its name." in page

    def test_a_chosen_one_stays_chosen_while_another_is_looked_for(self, client: Client, many: list[Workflow]) -> None:
        run = WorkflowExecutionFactory(workflow=many[-1])
        response = client.get(f"{RUNS}?workflow={many[-1].pk}&find_workflow=flow 00")
        assert [row.pk for row in response.context["cl"].result_list] == [run.pk]

    def test_it_is_not_kept_in_a_saved_view(self, client: Client) -> None:
        page = client.get(f"{RUNS}?status=failed&find_workflow=x").content.decode()
        assert '<input type="hidden" name="filters" value="status=failed">' in page

    @pytest.mark.parametrize("path", [RUNS, NODES, LOGS])
    def test_eight_can_be_searched_in_the_page_and_fewer_need_no_search(self, client: Client, path: str) -> None:
        Workflow.objects.filter(name__gt="flow 007").delete()
        assert 'id="find-workflow" data-all' in client.get(path).content.decode()
        assert "data-all" not in client.get(f"{path}?find_workflow=flow").content.decode()
        Workflow.objects.filter(name="flow 007").delete()
        assert "find_workflow" not in client.get(path).content.decode()


@pytest.mark.parametrize(
    ("path", "query", "make"),
    [
        (NODES, "trigger_type=manual&workflow_execution={run}", NodeExecutionFactory),
        (NODES, "trigger_type=manual&workflow={workflow}", NodeExecutionFactory),
        (NODES, "tag=t&trigger_type=manual&workflow_execution={run}", NodeExecutionFactory),
        (NODES, "owner={owner}&workflow={workflow}", NodeExecutionFactory),
        (NODES, "tag=t&trigger_type=manual", NodeExecutionFactory),
        (NODES, "owner={owner}&tag=t", NodeExecutionFactory),
        (LOGS, "workflow={workflow}&workflow_execution={run}", ExecutionLogFactory),
        (LOGS, "workflow={workflow}&tag=t", ExecutionLogFactory),
        (LOGS, "trigger_type=manual&owner={owner}&tag=t", ExecutionLogFactory),
    ],
)
def test_the_newest_runs_are_those_that_the_other_filters_leave(
    client: Client, monkeypatch: Any, path: str, query: str, make: Any
) -> None:
    """They were the newest of all, and the row's own run was not among them."""
    row = make(workflow_execution=WorkflowExecutionFactory(metadata={"tags": ["t"]}))
    run = row.workflow_execution
    for offered in ("OfNodes", "OfLines"):
        monkeypatch.setattr(f"executions.admin.filters.workflow_filters.{offered}.shown", 1)
    WorkflowExecutionFactory(workflow=run.workflow)
    if "workflow=" in query and path == NODES:
        run.workflow.executions.exclude(pk=run.pk).delete()
        WorkflowExecutionFactory()
    known = {"run": run.pk, "workflow": run.workflow_id, "owner": run.workflow.owner.get_username()}
    address = f"{path}?{query.format(**known)}"
    assert [each.pk for each in client.get(address).context["cl"].result_list] == [row.pk]


def test_a_search_looks_inside_the_filters(client: Client) -> None:
    """500 rows were taken before the filters: of 18 failed runs with the tag, 1 was shown."""
    workflow, tagged = WorkflowFactory(), {"metadata": {"tags": ["nightly"]}}
    in_state_failed = [in_state(WorkflowExecutionFactory(workflow=workflow, **tagged), "failed").pk for _ in range(18)]
    make = Workflow.executions.rel.related_model
    make.objects.bulk_create([make(workflow=workflow, trigger_type="manual", **tagged) for _ in range(520)])
    make.objects.filter(pk__in=in_state_failed).update(updated_at="2026-01-01T00:00:00Z")  # to the end of the table
    found = client.get(f"{RUNS}?q=nightly&status=failed&period=7").context["cl"].result_list
    assert [run.pk for run in found] == in_state_failed[::-1]
    newest = client.get(f"{RUNS}?q=nightly").context["cl"]
    assert [run.pk for run in newest.result_list] == sorted((run.pk for run in newest.result_list), reverse=True)
    assert newest.older_link


def test_a_search_that_only_old_runs_answer_is_not_a_walk_along_all(client: Client, monkeypatch: Any) -> None:
    runs = [WorkflowExecutionFactory(metadata={"tags": ["old"]}).pk for _ in range(60)]

    @contextmanager
    def too_long(milliseconds: int) -> Iterator[None]:
        raise StatementTimeout
        yield

    monkeypatch.setattr(text_search, "statement_timeout", too_long)
    with CaptureQueriesContext(connection) as queries:
        first = client.get(f"{RUNS}?q=old").context["cl"]
    assert any('("workflow_executions"."created_at" + ' in query["sql"] for query in queries)
    assert [run.pk for run in first.result_list] == runs[:9:-1]
    second = client.get(RUNS + first.older_link).context["cl"]
    assert [run.pk for run in second.result_list] == runs[9::-1]
    assert [run.pk for run in client.get(RUNS + second.newer_link).context["cl"].result_list] == runs[:9:-1]


def test_a_correlation_id_that_is_a_tag_too_leads_to_the_list(client: Client) -> None:
    WorkflowExecutionFactory(metadata={"correlation_id": "nightly"})
    assert client.get(f"{RUNS}?q=nightly").status_code == 302
    WorkflowExecutionFactory(metadata={"tags": ["nightly"]})
    assert len(client.get(f"{RUNS}?q=nightly").context["cl"].result_list) == 2


class TestCuts:
    """A list of workflows that is cut says so, and is cut after ordering and filtering."""

    def test_the_newest_children_are_shown(self, client: Client, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "CHILDREN", 2)
        parent = WorkflowExecutionFactory()
        children = [WorkflowExecutionFactory(context={"parent_execution_id": str(parent.pk)}) for _ in range(5)]
        found, more = related_runs.get_children(parent.workflow.owner, parent)
        assert (found, more) == ([], False)  # of workflows of others
        page = client.get(f"{RUNS}{parent.pk}/change/")
        assert [run.pk for run in page.context["children"]] == [run.pk for run in children[:-3:-1]]
        assert "These are the newest 2; there are more." in page.content.decode()

    def test_mine_are_all_of_mine(self, client: Client, staff: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "OWNED_WORKFLOWS", 1)
        runs = [WorkflowExecutionFactory(workflow=WorkflowFactory(owner=staff)).pk for _ in range(3)]
        found = client.get(f"{RUNS}?owner=me").context["cl"].result_list
        assert [run.pk for run in found] == runs[::-1]

    def test_more_shared_views_than_are_shown(self, client: Client, owner: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "SHARED_VIEWS", 1)
        sentence = "These are the first shared views by name."
        SavedView.objects.create(owner=owner, name="a", is_shared=True)
        assert sentence not in client.get(f"{RUNS}?view=all").content.decode()
        SavedView.objects.create(owner=owner, name="b", is_shared=True)
        assert sentence in client.get(f"{RUNS}?view=all").content.decode()

    def test_the_log_offers_the_node_that_is_requested_beyond_those_that_fit(
        self, client: Client, workflow: Workflow, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(limits, "NODES", 1)
        run = WorkflowExecutionFactory(workflow=workflow)
        rows = [run.add_node(node) for node in workflow.nodes.all()]
        ExecutionLogFactory(workflow_execution=run, node_execution=rows[-1])
        page = client.get(f"{RUNS}{run.pk}/logs/?node={rows[-1].pk}").content.decode()
        assert f'<option value="{rows[-1].pk}" selected>' in page
        assert "the first 1,000: of any other, open its page" in page

    def test_older_attempts_than_are_shown(self, client: Client, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "ATTEMPTS", 1)
        run = in_state(WorkflowExecutionFactory(), "failed")
        for _ in range(2):
            run.retry()
            in_state(run, "failed")
        assert "This is the newest attempt" in client.get(f"{RUNS}{run.pk}/change/").content.decode()
