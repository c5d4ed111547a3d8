"""The lists of node executions and of lines: duration, order, columns, parts of names, saved views and exports."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client

from executions.models import ExecutionLog, NodeExecution, SavedView
from executions.tests.admin.filters.changelists import pks
from executions.tests.cast import permissions
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.tests.query_plans import plan, uses
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import NodeFactory, UserFactory, WorkflowFactory

RUNS, NODES, LINES = (f"/admin/executions/{name}/" for name in ("workflowexecution", "nodeexecution", "executionlog"))
VIEWS = f"{RUNS}views/"
DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def nodes(db: None) -> list[Any]:
    """60 node executions, each a minute longer than the one before it, and one that still runs."""
    run = WorkflowExecutionFactory()
    node = partial(NodeExecutionFactory.build, workflow_execution=run, status="completed", started_at=DAY)
    steps = NodeFactory.create_batch(60, workflow=run.workflow)
    made = [node(node=step, ended_at=DAY + timedelta(minutes=minutes)) for minutes, step in enumerate(steps)]
    NodeExecution.objects.bulk_create(made)
    in_state(NodeExecutionFactory(workflow_execution=run), "running")
    return [node.pk for node in made]


def line_of(node: Any) -> Any:
    return ExecutionLogFactory(workflow_execution=node.workflow_execution, node_execution=node)


def table(html: str) -> str:
    return html.partition('id="result_list"')[2].partition("</table>")[0]


class TestDuration:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("query", "first", "last"),
        [
            ("duration_min=55m", 55, 59),
            ("duration_max=90", 0, 1),
            ("duration_min=10m&duration_max=12m", 10, 12),
        ],
    )
    def test_node_executions_are_found_by_it(
        self, client: Client, nodes: list[Any], query: str, first: int, last: int
    ) -> None:
        assert set(pks(client.get(f"{NODES}?{query}").context["cl"])) == set(nodes[first : last + 1])

    def test_it_has_a_chip_and_refuses_what_is_none(self, client: Client, nodes: list[Any]) -> None:
        chips = client.get(f"{NODES}?duration_min=55m").context["cl"].chips
        assert [(chip.words, chip.without) for chip in chips] == [("at least 55m", "?view=all")]
        assert client.get(f"{NODES}?duration_min=long").status_code == 400

    def test_an_index_finds_them(self, only: Any, client: Client) -> None:
        only("node_executions", "idx_node_executions_duration")
        found = plan(client.get(f"{NODES}?duration_min=55m").context["cl"].queryset.order_by())
        assert uses(found, "idx_node_executions_duration")


class TestOrder:
    @pytest.mark.slow
    @pytest.mark.parametrize(("order", "is_reversed"), [("-duration", True), ("duration", False)])
    def test_the_longest_and_shortest_nodes_page_by_page_and_back(
        self, client: Client, nodes: list[Any], order: str, is_reversed: bool
    ) -> None:
        expected = nodes[::-1] if is_reversed else nodes
        first = client.get(f"{NODES}?order={order}").context["cl"]
        second = client.get(NODES + first.older_link).context["cl"]
        assert pks(first) + pks(second) == expected  # not the one that has no duration yet
        assert pks(client.get(NODES + second.newer_link).context["cl"]) == expected[:50]

    def test_the_oldest_nodes_first(self, client: Client, nodes: list[Any]) -> None:
        first = client.get(f"{NODES}?order=created").context["cl"]
        assert pks(first) == nodes[:50]
        assert pks(client.get(NODES + first.older_link).context["cl"])[:10] == nodes[50:]

    def test_the_longest_of_a_trigger(self, client: Client, nodes: list[Any]) -> None:
        first = client.get(f"{NODES}?order=-duration&trigger_type=manual").context["cl"]
        second = client.get(NODES + first.older_link).context["cl"]
        assert pks(first) + pks(second) == nodes[::-1]

    def test_the_oldest_lines_first_page_by_page_and_back(self, client: Client) -> None:
        run = WorkflowExecutionFactory()
        made = [ExecutionLogFactory(workflow_execution=run).pk for _ in range(60)]
        expected = list(
            ExecutionLog.objects.filter(pk__in=made).order_by("timestamp", "id").values_list("pk", flat=True)
        )
        first = client.get(f"{LINES}?order=time").context["cl"]
        second = client.get(LINES + first.older_link).context["cl"]
        assert pks(first) + pks(second) == expected
        assert pks(client.get(LINES + second.newer_link).context["cl"]) == expected[:50]

    def test_a_heading_sorts_and_turns_the_order(self, client: Client, nodes: list[Any]) -> None:
        ExecutionLogFactory()
        html = client.get(f"{NODES}?status=completed").content.decode()
        assert '<a href="?order=-duration&amp;status=completed">Duration' in html
        html = client.get(f"{NODES}?order=-duration").content.decode()
        assert '<a href="?order=duration">Duration' in html
        html = client.get(LINES).content.decode()
        assert 'aria-sort="descending"' in html
        assert '<a href="?order=time">Time' in html
        assert '<a href="?view=all">Time' in client.get(f"{LINES}?order=time").content.decode()


class TestColumns:
    def test_nodes_show_those_of_the_address_in_the_order_of_the_cells(self, client: Client) -> None:
        node = in_state(NodeExecutionFactory(), "failed")
        html = table(client.get(f"{NODES}?columns=row_id,ended,error").content.decode())
        headings = [part.partition('"')[0].partition(" ")[0] for part in html.split('class="column-')[1:]]
        cells = [part.partition('"')[0].partition(" ")[0] for part in html.split('class="field-')[1:]]
        assert headings == cells == ["state", "node_name", "error", "ended", "row_id"]
        assert f"<code>{node.pk}</code>" in html

    def test_lines_show_those_of_the_address(self, client: Client) -> None:
        line = ExecutionLogFactory(source="loader", message="a line")
        html = table(client.get(f"{LINES}?columns=source,row_id").content.decode())
        assert "loader" in html
        assert f"<code>{line.pk}</code>" in html
        assert "a line" not in html

    @pytest.mark.parametrize("path", [NODES, LINES])
    def test_an_unknown_column_is_refused(self, client: Client, path: str) -> None:
        assert client.get(f"{path}?columns=bogus").status_code == 400

    @pytest.mark.parametrize("path", [RUNS, NODES, LINES])
    def test_every_column_that_is_offered_is_shown(self, client: Client, path: str) -> None:
        line_of(in_state(NodeExecutionFactory(), "failed"))
        cl = client.get(path).context["cl"]
        (offered,) = [spec.offered for spec in cl.filter_specs if spec.parameter_name == "columns"]
        names = [name for name, _title in offered]
        html = table(client.get(f"{path}?columns={','.join(reversed(names))}").content.decode())
        assert html.count("<th scope=") - html.count("action-toggle") == len(names) + len(cl.FIXED)
        row = html.partition("<tbody>")[2].partition("</tr>")[0]
        assert [name for name in names if f'class="field-{name}' not in row] == []


class TestNames:
    def test_a_list_of_failures_shows_their_errors(self, client: Client) -> None:
        node = in_state(NodeExecutionFactory(), "failed")
        NodeExecution.objects.filter(pk=node.pk).update(error_message="the file is cut off")
        for query, shown in (("?status=failed", True), ("?error=cut+off", True), ("?status=failed,cancelled", False)):
            assert ("the file is cut off" in client.get(f"{NODES}{query}").content.decode()) is shown, query

    def test_runs_are_found_by_a_part_of_the_name_of_a_failed_node(self, client: Client) -> None:
        node = in_state(NodeExecutionFactory(node=NodeFactory(name="Load prices")), "failed")
        NodeExecutionFactory(node=NodeFactory(name="Load prices too"))  # it did not fail
        for part in ("PRICE", "Load prices"):
            assert pks(client.get(f"{RUNS}?failed_node={part}").context["cl"]) == [node.workflow_execution_id]
        assert pks(client.get(f"{RUNS}?failed_node=quotes").context["cl"]) == []

    def test_a_former_name_is_found_in_full(self, client: Client) -> None:
        node = in_state(NodeExecutionFactory(node=NodeFactory(name="Load prices")), "failed")
        node.node.name = "Read quotes"
        node.node.save()
        assert pks(client.get(f"{RUNS}?failed_node=Load prices").context["cl"]) == [node.workflow_execution_id]

    def test_a_part_that_many_names_have_finds_the_same(self, client: Client, monkeypatch: Any) -> None:
        monkeypatch.setattr("executions.limits.NODE_NAMES", 1)
        monkeypatch.setattr("executions.limits.VISIBLE_IDS", 1)
        failed = [in_state(NodeExecutionFactory(node=NodeFactory(name=f"Load {n}")), "failed") for n in range(3)]
        runs = {node.workflow_execution_id for node in failed}
        assert set(pks(client.get(f"{RUNS}?failed_node=load").context["cl"])) == runs
        assert set(pks(client.get(f"{NODES}?node_name=load").context["cl"])) == {node.pk for node in failed}

    def test_a_short_part_of_many_names_is_refused_with_a_sentence(self, client: Client, monkeypatch: Any) -> None:
        monkeypatch.setattr("executions.limits.NODE_NAMES", 1)
        for number in range(2):
            NodeFactory(name=f"Load {number}")
        refused = client.get(f"{RUNS}?failed_node=lo&status=failed")
        assert refused.status_code == 400
        assert "A part that the names of many nodes have needs three characters or more." in refused.content.decode()
        assert 'href="?status=failed"' in refused.content.decode()
        for enough in ("loa", "1"):  # one name alone has a 1
            assert client.get(f"{RUNS}?failed_node={enough}").status_code == 200

    def test_a_short_text_is_refused_with_a_sentence(self, client: Client) -> None:
        refused = client.get(f"{NODES}?error=ab")
        assert refused.status_code == 400
        assert "A text that is searched for needs three characters or more." in refused.content.decode()

    def test_names_of_others_nodes_neither_refuse_a_part_nor_slow_it_down(self, db: None, monkeypatch: Any) -> None:
        monkeypatch.setattr("executions.limits.NODE_NAMES", 1)
        monkeypatch.setattr("executions.limits.VISIBLE_IDS", 1)
        owner = UserFactory(is_staff=True)
        owner.user_permissions.set(permissions("change_workflowexecution", "change_nodeexecution"))
        for number in range(2):
            NodeFactory(name=f"Load {number}")
        run = WorkflowExecutionFactory(workflow=WorkflowFactory(owner=owner))
        own = NodeFactory(workflow=run.workflow, name="Load my own")
        node = in_state(NodeExecutionFactory(workflow_execution=run, node=own), "failed")
        for address, found in (
            (f"{RUNS}?failed_node=lo", node.workflow_execution_id),
            (f"{NODES}?node_name=lo", node.pk),
        ):
            cl = client_of(owner).get(address).context["cl"]
            assert pks(cl) == [found]
            assert "LIKE" not in str(cl.queryset.query)  # but the names or ids, which an index finds

    def test_names_are_suggested_while_one_is_typed(self, client: Client) -> None:
        workflow = WorkflowFactory()
        for name in ("Load prices", "Load quotes", "Rank prices"):
            NodeFactory(workflow=workflow, name=name)
        NodeFactory(name="Load prices")  # of another workflow: the name is suggested once
        assert client.get(f"{NODES}names/?q=PRICES").json() == {"names": ["Load prices", "Rank prices"]}
        assert f'data-suggest="{NODES}names/"' in client.get(RUNS).content.decode()

    def test_no_name_of_anothers_node_is_suggested(self, db: None) -> None:
        user = UserFactory(is_staff=True)
        NodeFactory(name="Load prices")
        assert client_of(user).get(f"{NODES}names/?q=load").status_code == 403
        user.user_permissions.set(permissions("change_nodeexecution"))  # sees what is the user's own
        NodeFactory(workflow=WorkflowFactory(owner=user), name="Load my own")
        assert client_of(user).get(f"{NODES}names/?q=load").json() == {"names": ["Load my own"]}


class TestRunsOfRows:
    """Rows are filtered by the tag, the owner and the trigger of their run among the newest runs that have them."""

    @pytest.mark.parametrize("path", [NODES, LINES])
    @pytest.mark.parametrize(
        ("query", "index"),
        [("tag=nightly", "metadata"), ("owner={owner}", "workflow"), ("trigger_type=event", "trigger")],
    )
    def test_an_index_finds_the_runs_and_their_number_is_bounded(
        self, only: Any, client: Client, path: str, query: str, index: str
    ) -> None:
        run = WorkflowExecutionFactory()
        only("workflow_executions", f"idx_workflow_executions_{index}")
        cl = client.get(f"{path}?{query.format(owner=run.workflow.owner.get_username())}").context["cl"]
        (runs,) = [spec.runs for spec in cl.filter_specs if getattr(spec, "runs", None) is not None]
        found = plan(runs)
        assert uses(found, f"idx_workflow_executions_{index}")
        assert "Limit" in found

    @pytest.mark.parametrize("path", [NODES, LINES])
    @pytest.mark.parametrize("wrong", ["tag=a%00", "owner=a%00", "trigger_type=%00", "owner=nobody"])
    def test_a_wrong_value_of_one_of_them_is_refused_beside_the_others(
        self, client: Client, path: str, wrong: str
    ) -> None:
        others = [each for each in ("trigger_type=manual", "tag=t", "owner=me") if each[:3] != wrong[:3]]
        assert client.get(f"{path}?{'&'.join([wrong, *others])}").status_code == 400

    def test_together_with_the_newest_runs_of_a_workflow_they_are_those_of_both(self, client: Client) -> None:
        workflow = WorkflowFactory()
        old = WorkflowExecutionFactory(workflow=workflow, metadata={"tags": ["t"]})
        node = NodeExecutionFactory(workflow_execution=old)
        for run in (WorkflowExecutionFactory(workflow=workflow), WorkflowExecutionFactory(metadata={"tags": ["t"]})):
            NodeExecution.objects.bulk_create(
                NodeExecutionFactory.build(workflow_execution=run, node=step)
                for step in NodeFactory.create_batch(51, workflow=run.workflow)
            )
        assert pks(client.get(f"{NODES}?newest_runs={workflow.pk}~20&tag=t").context["cl"]) == [node.pk]


class TestSavedViews:
    @pytest.mark.parametrize(
        ("path", "listed", "filters"),
        [
            (NODES, "nodeexecution", "order=-duration&status=failed&columns=error%2Cended&duration_min=5m"),
            (LINES, "executionlog", "level=error&order=time&columns=source"),
        ],
    )
    def test_a_view_keeps_the_filters_the_order_and_the_columns_of_its_list(
        self, client: Client, path: str, listed: str, filters: str
    ) -> None:
        line_of(NodeExecutionFactory())
        assert 'name="new-name"' in client.get(f"{path}?{filters}").content.decode()
        saved = client.post(VIEWS, {"list": listed, "new-name": "Broken", "filters": filters}, follow=True)
        view = SavedView.objects.get()
        assert saved.redirect_chain == [(f"{path}?{filters}&view={view.pk}", 302)]
        assert saved.context["view"] == view
        assert client.get(f"{VIEWS}{view.pk}/")["Location"] == f"{path}?{filters}&view={view.pk}"
        assert "Broken" not in client.get(RUNS).content.decode()

    def test_the_list_without_filters_lands_on_its_default(self, client: Client) -> None:
        client.post(
            VIEWS, {"list": "nodeexecution", "new-name": "a", "filters": "status=failed", "new-is_default": "on"}
        )
        client.post(VIEWS, {"list": "executionlog", "new-name": "a", "filters": "level=error", "new-is_default": "on"})
        assert "status=failed" in client.get(NODES)["Location"]
        assert "level=error" in client.get(LINES)["Location"]
        assert client.get(RUNS).status_code == 200
        assert client.get(f"{NODES}?view=all").status_code == 200

    def test_a_filter_of_another_list_is_named_and_nothing_is_kept(self, client: Client) -> None:
        answer = client.post(VIEWS, {"list": "nodeexecution", "new-name": "a", "filters": "level=error"}, follow=True)
        assert "nothing was saved: level" in " ".join(map(str, answer.context["messages"]))
        assert not SavedView.objects.exists()

    def test_an_unknown_list_has_no_saved_views(self, client: Client) -> None:
        assert client.post(VIEWS, {"list": "token", "new-name": "a", "filters": ""}).status_code == 404

    def test_views_of_a_list_are_for_those_who_may_see_it(self, staff: Any) -> None:
        view = SavedView(owner=staff, listed="nodeexecution", name="Broken", is_shared=True)
        view.put()
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("view_workflowexecution"))
        assert client_of(user).get(f"{VIEWS}{view.pk}/").status_code == 403
        posted = client_of(user).post(VIEWS, {"list": "nodeexecution", "new-name": "a", "filters": ""})
        assert posted.status_code == 403


def test_an_export_has_the_rows_of_the_address(client: Client, nodes: list[Any]) -> None:
    answer = client.get(f"{NODES}?duration_min=55m&order=-duration&columns=error&export=ndjson")
    rows = [json.loads(line) for line in answer.getvalue().decode().splitlines()]
    assert {row["id"] for row in rows} == {str(pk) for pk in nodes[55:]}
