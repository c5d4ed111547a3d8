"""The page of a run, of a node execution and of a log line: error first, bounded in whatever they show, read-only."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from executions.admin import formatting
from executions.models import WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import (
    ExecutionLogFactory,
    NodeExecutionFactory,
    in_state,
    run_with_nodes,
)
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import NodeFactory, UserFactory

MARKUP = "<script>alert(1)</script>"


def address(row: Any) -> str:
    return reverse(f"admin:executions_{row._meta.model_name}_change", args=[row.pk])


def page(user: Any, row: Any) -> str:
    response = client_of(user).get(address(row))
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def run(workflow: Any) -> WorkflowExecution:
    return run_with_nodes(workflow)


class TestRun:
    def test_the_first_failure_comes_first_then_what_the_run_says_then_graph_and_table(
        self, run: Any, staff: Any
    ) -> None:
        node = run.node_executions.get(node__name="rank")
        node.start()
        node.fail("KeyError: momentum\nsecond line", "Traceback of rank")
        run.fail("the run broke")
        html = page(staff, run)
        places = [
            html.index(text)
            for text in (
                "rank failed",
                "KeyError: momentum",
                "Traceback of rank",
                "the run broke",
                "run-main",
                "ledger-table",
            )
        ]
        assert places == sorted(places)

    def test_its_nodes_stand_in_their_order(self, run: Any, teammate: Any) -> None:
        html = page(teammate, run)
        places = [html.index(f">{name}</a></th>") for name in ("fetch", "rank", "report")]
        assert places == sorted(places)

    def test_an_earlier_attempt_of_a_node_stays_readable(self, run: Any, teammate: Any) -> None:
        node = run.node_executions.get(node__name="fetch")
        in_state(node, "running").fail("malformed price row", "Traceback of the first attempt")
        node.retry()
        html = page(teammate, run)
        assert "1 earlier attempt of fetch" in html
        assert "malformed price row" in html
        assert "Traceback of the first attempt" in html

    def test_an_earlier_attempt_of_the_run_stays_readable(self, run: Any, teammate: Any) -> None:
        run.fail("first try")
        run.retry()
        assert "first try" in page(teammate, run)

    def test_the_newest_100_lines_are_shown_the_oldest_of_them_first(self, run: Any, teammate: Any) -> None:
        for i in range(105):
            ExecutionLogFactory(workflow_execution=run, message=f"line no. {i:03}")
        html = page(teammate, run)
        assert html.count("line no. ") == 100
        assert "line no. 004" not in html
        assert html.index("line no. 005") < html.index("line no. 104")

    def test_its_json_is_printed_and_its_secrets_are_masked(self, workflow: Any, teammate: Any) -> None:
        context = {"secrets": {"broker": {"api_key": "leaked!", "list": ["leaked!"]}}, "variables": {"cash": 1}}
        html = page(teammate, run_with_nodes(workflow, input_data={"symbols": ["AAPL"]}, context=context))
        assert "&quot;symbols&quot;: [\n" in html
        assert "&quot;cash&quot;: 1" in html
        assert "&quot;api_key&quot;: &quot;***masked***&quot;" in html
        assert "leaked!" not in html

    def test_json_of_megabytes_is_named_and_not_shown(self, workflow: Any, teammate: Any) -> None:
        html = page(
            teammate,
            run_with_nodes(
                workflow, input_data={"big": "x" * 1_000_000}, context={"variables": {"key": "s" * 300_000}}
            ),
        )
        assert len(html) < 100_000
        assert html.count("Too long to be shown here") == 2

    def test_a_number_that_python_refuses_to_read_is_no_500(self, run: Any, teammate: Any) -> None:
        with connection.cursor() as cursor:
            number = "1" * 5000
            cursor.execute(
                "UPDATE workflow_executions SET input_data = %s::jsonb, "
                "context = jsonb_build_object('shown', 1, 'n', %s::numeric)",
                [number, number],
            )
        assert "&quot;shown&quot;: 1" in page(teammate, run)

    def test_markup_is_text_wherever_it_stands(self, workflow: Any, staff: Any) -> None:
        run = run_with_nodes(workflow, input_data={MARKUP: MARKUP}, metadata={"tags": [MARKUP]})
        node = run.node_executions.get(node__name="fetch")
        in_state(node, "running").fail(MARKUP, MARKUP)
        node.retry()
        in_state(node, "running").fail(MARKUP, MARKUP)
        ExecutionLogFactory(workflow_execution=run, node_execution=node, message=MARKUP, data={"a": MARKUP})
        run.fail(MARKUP)
        for row in (run, node, run.logs.get()):
            assert MARKUP not in page(staff, row)

    def test_its_queries_do_not_grow_with_its_nodes_attempts_and_lines(self, run: Any, staff: Any) -> None:
        client = client_of(staff)
        NodeExecutionFactory(workflow_execution=run, node=NodeFactory(workflow=run.workflow))  # after the run was made
        in_state(run.node_executions.first(), "failed").retry()
        client.get(address(run))
        with CaptureQueriesContext(connection) as few:
            client.get(address(run))
        for i in range(40):
            node = NodeExecutionFactory(
                workflow_execution=run, node=NodeFactory(workflow=run.workflow), execution_order=i
            )
            in_state(node, "failed").retry()
            ExecutionLogFactory(workflow_execution=run, node_execution=node)
        with CaptureQueriesContext(connection) as many:
            client.get(address(run))
        # One more for what was done to the run, where its nodes fill the history. Five of them are the numbers of lines
        # that are missing, and five of what needs attention, under timeouts of their own; three are of kept runs and of
        # lines that were not stored, one is of notes.
        assert len(many) == len(few) + 1 <= 41

    def test_the_payloads_of_its_nodes_are_not_read(self, run: Any, staff: Any) -> None:
        with CaptureQueriesContext(connection) as queries:
            page(staff, run)
        of_nodes = [query["sql"] for query in queries if 'FROM "node_executions"' in query["sql"]]
        assert of_nodes
        assert not any("input_data" in sql or "output_data" in sql for sql in of_nodes)

    def test_who_may_view_runs_alone_sees_neither_nodes_nor_lines_of_others(self, run: Any) -> None:
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("view_workflowexecution"))
        ExecutionLogFactory(workflow_execution=run, message="not for everyone")
        html = page(user, run)
        assert "not for everyone" not in html
        assert "No node has been reported yet." in html


class TestNodeExecution:
    def test_it_shows_run_error_traceback_json_attempts_and_lines(self, run: Any, teammate: Any) -> None:
        node = run.node_executions.get(node__name="fetch")
        in_state(node, "running").fail("first error", "first traceback")
        node.retry()
        in_state(node, "running").fail("second error", "second traceback")
        ExecutionLogFactory(workflow_execution=run, node_execution=node, message="of this node")
        ExecutionLogFactory(workflow_execution=run, message="of the run")
        html = page(teammate, node)
        for text in ("momentum", "first error", "first traceback", "second error", "second traceback", "of this node"):
            assert text in html
        assert "of the run" not in html
        assert html.index("second error") < html.index("first error")


class TestLogLine:
    def test_it_is_shown_whole_with_its_data(self, run: Any, teammate: Any) -> None:
        line = ExecutionLogFactory(workflow_execution=run, message="whole " + "x" * 5_000 + " end", data={"row": 17})
        html = page(teammate, line)
        assert "x end" in html
        assert "&quot;row&quot;: 17" in html


class TestReadOnly:
    def rows(self, run: Any) -> list[Any]:
        return [run, run.node_executions.first(), ExecutionLogFactory(workflow_execution=run)]

    def test_no_page_has_a_field_or_a_save_button(self, run: Any, staff: Any) -> None:
        for row in self.rows(run):
            html = page(staff, row)
            assert 'name="_save"' not in html
            assert html.count("<textarea") == html.count('<textarea form="notes-form"')

    def test_a_form_that_is_sent_all_the_same_is_refused(self, run: Any, staff: Any) -> None:
        for row in self.rows(run):
            response = client_of(staff).post(address(row), {"status": "completed", "_save": "Save"})
            assert response.status_code == 403
        run.refresh_from_db()
        assert run.status == "running"

    def test_nodes_and_lines_cannot_be_deleted_here(self, run: Any, staff: Any) -> None:
        for row in self.rows(run)[1:]:
            assert client_of(staff).post(address(row).replace("change", "delete"), {"post": "yes"}).status_code == 403


def test_the_way_to_a_history_leads_to_that_of_the_run_not_to_an_empty_one(run: Any, staff: Any) -> None:
    response = client_of(staff).get(address(run).replace("change", "history"), follow=True)
    assert response.redirect_chain == [(f"{address(run)}#history", 302)]
    assert 'id="history"' in response.content.decode()


def test_a_line_leads_to_its_place_in_the_whole_log(run: Any, staff: Any) -> None:
    line = ExecutionLogFactory(workflow_execution=run)
    place = f"{address(run).replace('change', 'logs')}?at={line.pk}"
    assert f'href="{place}#line-{line.pk}"' in page(staff, line)
    assert f'id="line-{line.pk}"' in client_of(staff).get(place).content.decode()


class TestWhoSees:
    def test_strangers_and_owners_are_sent_to_the_login_and_newcomers_refused(
        self, run: Any, stranger: Any, owner: Any, newcomer: Any
    ) -> None:
        assert client_of(stranger).get(address(run)).status_code == 302
        assert client_of(owner).get(address(run)).status_code == 302
        assert client_of(newcomer).get(address(run)).status_code == 403

    @pytest.mark.slow
    @pytest.mark.parametrize("model", ["workflowexecution", "nodeexecution", "executionlog"])
    @pytest.mark.parametrize("pk", ["x", "%00", "0190f5e5-0000-7000-8000-000000000000", "1" * 5000, "..%2F.."])
    @pytest.mark.parametrize("view", ["change", "history", "delete"])
    def test_an_id_that_is_none_is_never_a_500(self, model: str, pk: str, view: str, staff: Any) -> None:
        response = client_of(staff).get(f"/admin/executions/{model}/{pk}/{view}/")
        assert response.status_code in {302, 400, 403, 404}


def test_pages_load_nothing_inline_and_nothing_from_elsewhere(run: Any, staff: Any) -> None:
    html = page(staff, run)
    assert " style=" not in html
    assert "<style" not in html
    assert "<script>" not in html
    assert "executions/admin.css" in html


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"), (0.04, "40 ms"), (0.9999, "1.0 s"), (1.24, "1.2 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"),
        (184, "3 min 4 s"), (3600, "1 h 0 min"), (7500, "2 h 5 min"), (86400, "1 d 0 h"), (273_600, "3 d 4 h"),
    ],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds: float, words: str) -> None:
    assert formatting.format_duration(seconds) == words


@pytest.mark.parametrize(
    ("path", "ticks"),
    [
        ("/admin/", True),
        ("/admin/executions/workflowexecution/", True),
        ("/admin/workflows/workflow/{workflow}/", True),
        ("/admin/executions/nodeexecution/", False),
        ("/admin/executions/nodeexecution/{node}/change/", False),
    ],
)
def test_a_clock_ticks_only_on_a_page_that_follows_what_runs(run: Any, staff: Any, path: str, ticks: bool) -> None:
    """relative_time.js updates durations where the page has its texts, #clocks."""
    node = in_state(run.node_executions.first(), "running")
    response = client_of(staff).get(path.format(workflow=run.workflow_id, node=node.pk))
    html = response.content.decode()
    assert response.status_code == 200
    assert ('class="clock"' in html, 'id="clocks"' in html) == (ticks, ticks)
    follows = re.search(r'<script[^>]* src="[^"]*/(monitor_updates|run_list|workflow_updates)\.js"', html)
    assert (follows is not None) is ticks
