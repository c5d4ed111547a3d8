"""The bar above the lists: one form whose address says all that it asks for."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.contrib import admin
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from executions import limits, text_search
from executions.admin.filters.select_rows import select_rows
from executions.models import NodeExecution, WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import ExecutionLogFactory, NodeExecutionFactory, WorkflowExecutionFactory, in_state
from executions.tests.query_plans import plan, uses
from ledgerkit.db.timeouts import StatementTimeout
from ledgerkit.tests.clients import client_of
from workflows.tests.factories import NodeFactory, UserFactory, WorkflowFactory

RUNS, NODES, LOGS = (f"/admin/executions/{name}/" for name in ("workflowexecution", "nodeexecution", "executionlog"))


def found(client: Client, address: str) -> list[Any]:
    return [row.pk for row in client.get(address).context["cl"].result_list]


def failed_run(error: str, name: str = "Load", **fields: Any) -> WorkflowExecution:
    """Return a failed run whose node of this name failed with this error."""
    run = in_state(WorkflowExecutionFactory(**fields), "running")
    node = run.add_node(NodeFactory(workflow=run.workflow, name=name))
    node.start()
    node.fail(error)
    run.fail("a node failed")
    return run


class TestTheForm:
    @pytest.mark.parametrize("path", [RUNS, NODES, LOGS])
    def test_it_stands_above_the_table_and_nothing_beside_it(self, client: Client, path: str) -> None:
        html = client.get(path).content.decode()
        assert 'class="filter-bar" method="get"' in html
        assert 'id="changelist-filter"' not in html

    def test_empty_and_repeated_fields_lead_to_the_address_that_can_be_shared(self, client: Client) -> None:
        sent = "status=failed&status=cancelled&tag=&error=&period=3&not_trigger_type=event&not_trigger_type=manual&q="
        location = client.get(f"{RUNS}?{sent}")["Location"]
        assert dict(parse_qsl(location.removeprefix("?"))) == {
            "status": "failed,cancelled", "period": "3", "not_trigger_type": "event,manual",
        }  # fmt: skip
        assert client.get(f"{RUNS}{location}").status_code == 200

    def test_what_it_has_no_field_for_is_kept(self, client: Client) -> None:
        between = "2026-01-01T00:00:00+00:00~2026-01-02T00:00:00+00:00"
        html = client.get(RUNS, {"ended_between": between, "status": "failed"}).content.decode()
        assert f'<input type="hidden" name="ended_between" value="{between}">' in html

    def test_several_statuses_are_chosen_and_each_has_a_chip(self, client: Client) -> None:
        states = {state: in_state(WorkflowExecutionFactory(), state).pk for state in ("failed", "cancelled", "running")}
        cl = client.get(f"{RUNS}?status=failed,cancelled").context["cl"]
        assert {row.pk for row in cl.result_list} == {states["failed"], states["cancelled"]}
        assert [(str(chip.words), chip.without) for chip in cl.chips] == [
            ("failed", "?status=cancelled"),
            ("cancelled", "?status=failed"),
        ]

    def test_the_title_names_the_filters_and_a_link_skips_them(self, client: Client) -> None:
        run = in_state(WorkflowExecutionFactory(metadata={"tags": ["nightly"]}), "failed")
        html = client.get(f"{RUNS}?status=failed&tag=nightly&not_trigger_type=event").content.decode()
        assert "<title>Workflow executions: failed, nightly, not event |" in html
        assert html.index('href="#result_list"') < html.index('class="filter-bar"') < html.index(str(run.pk))
        assert len(client.get(f"{RUNS}?tag={'x' * 250}").context["title"]) == 120

    def test_several_workflows_and_triggers(self, client: Client) -> None:
        first, second, _third = (WorkflowExecutionFactory() for _ in range(3))
        query = f"workflow={first.workflow_id},{second.workflow_id}"
        assert set(found(client, f"{RUNS}?{query}")) == {first.pk, second.pk}
        assert found(client, f"{RUNS}?{query}&trigger_type=event,schedule") == []
        nodes = [NodeExecutionFactory(workflow_execution=run) for run in (first, second)]
        assert set(found(client, f"{NODES}?{query}")) == {node.pk for node in nodes}
        lines = [ExecutionLogFactory(workflow_execution=run) for run in (first, second)]
        assert set(found(client, f"{LOGS}?{query}&level=info,error")) == {line.pk for line in lines}

    @pytest.mark.parametrize("query", ["status=failed,bogus", "workflow=x,y", "owner=nobody", "error=ab"])
    def test_a_wrong_value_is_refused(self, client: Client, query: str) -> None:
        assert client.get(f"{RUNS}?{query}").status_code == 400

    def test_a_saved_view_keeps_all_of_it(self, client: Client) -> None:
        query = "duration_min=5m&error=time&failed_node=Load&from=2026-01-01T00%3A00%3A00Z&owner=me&status=failed&tag=t"
        several = f"{WorkflowFactory().pk},{WorkflowFactory().pk}"
        query = f"{query}&time=ended&workflow={several}"
        html = client.get(f"{RUNS}?{query}").content.decode()
        assert f'name="filters" value="{query}"'.replace("&", "&amp;").replace(",", "%2C") in html


class TestTexts:
    def test_a_tag_a_failed_node_and_an_owner(self, client: Client, staff: Any) -> None:
        run = failed_run("went wrong", metadata={"tags": ["nightly"]}, workflow=WorkflowFactory(owner=staff))
        failed_run("went wrong", "Other")
        for query in ("tag=nightly", "failed_node=Load", "owner=me", f"owner={staff.username}"):
            assert found(client, f"{RUNS}?{query}") == [run.pk], query
        assert found(client, f"{RUNS}?tag=night") == []

    def test_a_text_in_the_error_of_the_run_or_of_a_node(self, client: Client) -> None:
        of_node = failed_run("TimeOut of the quote service")
        of_run = in_state(WorkflowExecutionFactory(), "running")
        of_run.fail("a timeout")
        failed_run("refused")
        assert set(found(client, f"{RUNS}?error=timeout")) == {of_node.pk, of_run.pk}
        assert len(found(client, f"{NODES}?error=timeout")) == 1

    def test_it_is_searched_in_the_last_days_unless_a_period_is_given_and_the_chip_says_so(
        self, client: Client
    ) -> None:
        run = failed_run("timeout")
        old = timezone.now() - timedelta(days=limits.SEARCHED_DAYS + 1)
        WorkflowExecution.objects.filter(pk=run.pk).update(created_at=old)
        cl = client.get(f"{RUNS}?error=timeout").context["cl"]
        assert [row.pk for row in cl.result_list] == []
        assert [str(chip.words) for chip in cl.chips] == ["“timeout” in the last 30 days"]
        cl = client.get(f"{RUNS}?error=timeout&period=90").context["cl"]
        assert [row.pk for row in cl.result_list] == [run.pk]
        assert str(cl.chips[0].words) == "timeout"

    def test_a_rare_text_is_found_by_the_indexes_of_the_texts(self, client: Client, monkeypatch: Any) -> None:
        """The walk along the runs in their order takes too long where hardly any run meets it."""
        run = failed_run("a zebra")
        failed_run("refused")
        asked: list[str] = []

        def too_long(milliseconds: int) -> Any:
            raise StatementTimeout

        monkeypatch.setattr(text_search, "statement_timeout", too_long)
        with connection.execute_wrapper(lambda execute, sql, *rest: (asked.append(sql), execute(sql, *rest))[1]):
            assert found(client, f"{RUNS}?error=zebra") == [run.pk]
        assert any(" UNION ALL " in sql for sql in asked)

    def test_the_errors_of_nodes_that_one_may_not_see_are_not_searched(self, db: None) -> None:
        user = UserFactory(is_staff=True)
        user.user_permissions.set(permissions("view_workflowexecution"))
        failed_run("the secret of others", "Hidden")
        for query in ("error=secret", "failed_node=Hidden"):
            assert found(client_of(user), f"{RUNS}?{query}") == []


class TestLines:
    def line(self, level: str, message: str, **fields: Any) -> Any:
        return ExecutionLogFactory(level=level, message=message, **fields)

    def test_warnings_and_errors_are_searched_across_runs_and_the_chip_says_where(self, client: Client) -> None:
        said = [self.line(level, "a TimeOut").pk for level in ("error", "warning", "info")]
        self.line("error", "refused")
        cl = client.get(f"{LOGS}?text=timeout").context["cl"]
        assert {row.pk for row in cl.result_list} == set(said[:2])
        assert [str(chip.words) for chip in cl.chips] == ["“timeout” in the last 30 days, in warnings and errors"]
        assert found(client, f"{LOGS}?text=timeout&level=error&period=7") == [said[0]]
        assert found(client, f"{LOGS}?text=timeout&to=2026-01-01T00:00:00Z") == []

    def test_of_one_run_every_line_is_searched(self, client: Client) -> None:
        line = self.line("info", "a timeout")
        cl = client.get(f"{LOGS}?text=timeout&workflow_execution={line.workflow_execution_id}").context["cl"]
        assert [row.pk for row in cl.result_list] == [line.pk]
        assert str(cl.chips[0].words) == "timeout"

    def test_a_rare_text_is_found_by_its_index_not_by_a_walk_along_all_lines(
        self, client: Client, monkeypatch: Any
    ) -> None:
        lines = [self.line("error", f"zebra {number}").pk for number in range(3)]
        asked: list[str] = []

        def too_long(milliseconds: int) -> Any:
            raise StatementTimeout

        monkeypatch.setattr(text_search, "statement_timeout", too_long)
        with connection.execute_wrapper(lambda execute, sql, *rest: (asked.append(sql), execute(sql, *rest))[1]):
            assert found(client, f"{LOGS}?text=zebra") == lines[::-1]
        assert any('ORDER BY ("execution_logs"."timestamp" +' in sql for sql in asked)

    def test_the_index_answers_it_in_every_partition(self, client: Client, truncated: None) -> None:
        rows = client.get(f"{LOGS}?text=timeout").context["cl"].queryset.order_by()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
            cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'execution_logs'::regclass")
            (partitions,) = cursor.fetchone()
        assert plan(rows).count("Bitmap Index Scan on execution_logs") >= partitions
        assert "upper" in plan(rows)


class TestTimes:
    def test_a_free_period_is_in_the_readers_zone_and_its_address_says_which(self, client: Client) -> None:
        client.cookies["pastetrader_time_zone"] = "Asia/Seoul"
        run, other = WorkflowExecutionFactory(), WorkflowExecutionFactory()
        WorkflowExecution.objects.filter(pk=run.pk).update(created_at=datetime(2026, 3, 1, 17, 30, tzinfo=UTC))
        location = client.get(f"{RUNS}?from=2026-03-02T02:00&to=2026-03-02T03:00")["Location"]
        assert dict(parse_qsl(location.removeprefix("?"))) == {
            "from": "2026-03-02T02:00:00+09:00", "to": "2026-03-02T03:00:00+09:00",
        }  # fmt: skip
        response = client.get(f"{RUNS}{location}")
        assert [row.pk for row in response.context["cl"].result_list] == [run.pk]
        assert 'name="from" value="2026-03-02T02:00"' in response.content.decode()
        assert other.pk not in found(client_of(UserFactory(is_staff=True, is_superuser=True)), f"{RUNS}{location}")

    def test_by_the_start_or_the_end_and_by_how_long_it_took(self, client: Client) -> None:
        begin = datetime(2026, 3, 1, 2, tzinfo=UTC)
        runs = [in_state(WorkflowExecutionFactory(), "completed") for _ in range(3)]
        for hours, run in enumerate(runs):
            start = begin + timedelta(hours=hours)
            times = {"created_at": start, "started_at": start, "ended_at": start + timedelta(minutes=10 * (hours + 1))}
            WorkflowExecution.objects.filter(pk=run.pk).update(**times)
        WorkflowExecutionFactory()
        ended = "from=2026-03-01T02:00:00Z&to=2026-03-01T03:20:00Z&time=ended"
        assert found(client, f"{RUNS}?{ended}") == [runs[0].pk]
        assert found(client, f"{RUNS}?from=2026-03-01T03:00:00Z&to=2026-03-01T03:20:00Z&time=started") == [runs[1].pk]
        assert found(client, f"{RUNS}?duration_min=15m&duration_max=25m") == [runs[1].pk]
        assert found(client, f"{RUNS}?duration_max=600&to=2026-03-02T00:00:00Z&time=started") == [runs[0].pk]
        assert found(client, f"{NODES}?from=2026-03-01T03:00:00Z&to=2026-03-02T00:00:00Z") == []
        line = ExecutionLogFactory(workflow_execution=runs[0])
        assert found(client, f"{LOGS}?from=2026-03-01T03:00:00Z") == [line.pk]

    @pytest.mark.parametrize(
        ("query", "index"),
        [
            ("tag=nightly", "idx_workflow_executions_metadata"),
            ("from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z", "idx_workflow_executions_created"),
            ("from=2026-03-01T00:00:00Z&time=started", "idx_workflow_executions_started"),
            ("from=2026-03-01T00:00:00Z&time=ended", "idx_workflow_executions_ended"),
            ("duration_min=1h", "idx_workflow_executions_duration"),
        ],
    )
    def test_each_is_answered_by_its_index(self, only: Any, client: Client, query: str, index: str) -> None:
        only("workflow_executions", index)
        queryset = client.get(f"{RUNS}?{query}").context["cl"].queryset
        assert uses(plan(queryset.order_by()), index)

    @pytest.mark.parametrize(
        ("rows", "index"),
        [
            (NodeExecution.objects.filter(error_message__icontains="timeout"), "idx_node_executions_error_text"),
            (NodeExecution.objects.failed().filter(node_name="Load"), "idx_node_executions_failed_name"),
        ],
    )
    def test_nodes_are_found_by_their_error_and_by_their_name(self, only: Any, rows: Any, index: str) -> None:
        only("node_executions", index)
        assert uses(plan(rows), index)


def test_the_rows_of_an_address_are_known_without_a_request(staff: Any) -> None:
    """A bulk action works on what the list with these filters shows, after the request is over."""
    run = failed_run("timeout", metadata={"tags": ["t"]})
    failed_run("timeout")
    rows = select_rows(
        admin.site.get_model_admin(WorkflowExecution), staff, QueryDict("status=failed&tag=t&error=timeout")
    )
    assert [row.pk for row in rows] == [run.pk]
    assert list(select_rows(admin.site.get_model_admin(WorkflowExecution), staff, QueryDict("q=t"))) == [run]


def test_enter_in_a_field_applies_the_filters_where_workflows_are_found_by_name(
    staff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser presses the first button of the form."""
    monkeypatch.setattr("executions.limits.OFFERED_WORKFLOWS", 1)
    WorkflowFactory.create_batch(2)
    page = client_of(staff).get(RUNS).content.decode()
    form = page[page.index('id="changelist-search"') :]
    assert 'id="find-workflow"' in form
    assert form.partition("<button")[2].startswith(' type="submit" hidden>')
