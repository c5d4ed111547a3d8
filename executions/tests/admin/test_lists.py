"""The lists of the ledger: who sees them, what they read, and that their length costs nothing."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db import connection
from django.test.html import parse_html
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from executions.admin.filters.workflow_filters import (
    LogOwnerFilter,
    LogTagFilter,
    LogTriggerFilter,
    LogWorkflowFilter,
    NodeOwnerFilter,
    NodeTagFilter,
    NodeTriggerFilter,
)
from executions.models import ExecutionLog, NodeExecution, WorkflowExecution
from executions.tests.cast import permissions
from executions.tests.factories import (
    ExecutionLogFactory,
    NodeExecutionFactory,
    WorkflowExecutionFactory,
    in_state,
)
from ledgerkit.tests.clients import client_of
from workflows.models import Workflow
from workflows.tests.factories import UserFactory, WorkflowFactory

RUNS = "/admin/executions/workflowexecution/"
NODES = "/admin/executions/nodeexecution/"
LOGS = "/admin/executions/executionlog/"
LISTS = [RUNS, NODES, LOGS]
HEADS = re.compile(r'LEFT\("\w+"."error_message", 300\)')
PAYLOADS = ["input_data", "output_data", '"context"', "error_traceback", "error_message", '"execution_logs"."data"']


def found(response: Any) -> list[Any]:
    return list(response.context["cl"].result_list)


def fill(count: int, workflow: Workflow | None = None) -> list[WorkflowExecution]:
    workflow = workflow or WorkflowFactory(chain=["fetch"])
    runs = WorkflowExecution.objects.bulk_create(
        WorkflowExecutionFactory.build(
            workflow=workflow,
            input_data={"big": "x" * 10_000},
            metadata={"tags": ["nightly"], "correlation_id": f"c-{i}"},
        )
        for i in range(count)
    )
    fetch = workflow.nodes.get()
    nodes = NodeExecution.objects.bulk_create(
        NodeExecutionFactory.build(workflow_execution=run, node=fetch) for run in runs
    )
    ExecutionLog.objects.bulk_create(
        ExecutionLogFactory.build(workflow_execution=node.workflow_execution, node_execution=node, data={"big": "x"})
        for node in nodes
    )
    return runs


@pytest.mark.parametrize("path", LISTS)
class TestWhoSees:
    def test_a_stranger_is_sent_to_the_login(self, path: str, stranger: Any) -> None:
        assert client_of(stranger).get(path).status_code == 302

    def test_the_owner_who_is_not_staff_does_not_use_the_admin(self, path: str, owner: Any) -> None:
        assert client_of(owner).get(path).status_code == 302

    def test_a_newcomer_without_permissions_is_refused(self, path: str, newcomer: Any) -> None:
        client = client_of(newcomer)
        assert client.get(path).status_code == 403
        assert path not in client.get("/admin/").content.decode()

    def test_a_teammate_sees_every_row_and_no_action_that_changes_one(self, path: str, teammate: Any) -> None:
        fill(2)
        response = client_of(teammate).get(path)
        assert len(found(response)) == 2
        form = response.context["action_form"]
        offered = form.fields["action"].choices if form else ()
        assert {name for name, _title in offered if name} <= {"compare"}

    def test_nobody_is_offered_to_add_one(self, path: str, staff: Any) -> None:
        client = client_of(staff)
        assert f'href="{path}add/"' not in client.get(path).content.decode()
        assert client.get(f"{path}add/").status_code == 403


@pytest.mark.parametrize("path", LISTS)
class TestWhatIsRead:
    @pytest.mark.slow
    def test_as_many_queries_for_50_rows_as_for_5(self, path: str, staff: Any) -> None:
        client, workflow = client_of(staff), WorkflowFactory(chain=["fetch"])
        client.get(path)
        fill(5, workflow)
        with CaptureQueriesContext(connection) as few:
            client.get(path)
        fill(45, workflow)
        with CaptureQueriesContext(connection) as many:
            response = client.get(path)
        assert len(found(response)) == 50
        assert len(many) == len(few) <= (18 if path == RUNS else 12)

    def test_no_payload_and_no_traceback_is_selected(self, path: str, staff: Any) -> None:
        fill(1)
        with CaptureQueriesContext(connection) as queries:
            client_of(staff).get(path)
        sql = HEADS.sub("", "\n".join(query["sql"] for query in queries))
        assert "execution" in sql
        assert [name for name in PAYLOADS if name in sql] == []

    def test_nothing_is_counted_and_nothing_is_distinct(self, path: str, staff: Any) -> None:
        fill(1)
        with CaptureQueriesContext(connection) as queries:
            client_of(staff).get(path)
        asked = [query["sql"] for query in queries if "PERCENTILE_CONT" not in query["sql"]]  # of a few days' durations
        assert not any("COUNT(" in sql or "DISTINCT" in sql for sql in asked)


@pytest.mark.parametrize("path", LISTS)
class TestPages:
    @pytest.mark.slow
    def test_forward_shows_every_row_once_and_back_shows_the_same_again(self, path: str, staff: Any) -> None:
        client = client_of(staff)
        fill(120)
        first = client.get(path)
        second = client.get(path + first.context["cl"].older_link)
        third = client.get(path + second.context["cl"].older_link)
        pages = [[row.pk for row in found(page)] for page in (first, second, third)]
        assert [len(page) for page in pages] == [50, 50, 20]
        assert len({pk for page in pages for pk in page}) == 120
        assert not third.context["cl"].older_link
        back = client.get(path + third.context["cl"].newer_link)
        assert [row.pk for row in found(back)] == pages[1]
        assert [row.pk for row in found(client.get(path + back.context["cl"].newer_link))] == pages[0]

    @pytest.mark.slow
    def test_a_filter_starts_at_its_newest_row(self, path: str, staff: Any) -> None:
        client = client_of(staff)
        fill(51)
        older = client.get(path + client.get(path).context["cl"].older_link)
        form = older.content.decode().partition('class="filter-bar"')[2].partition("</form>")[0]
        assert 'name="older"' not in form

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "place",
        ["", "x", "~", "2026-01-01~x", "2026-01-01T00:00:00~0190f5e5-0000-7000-8000-000000000000", "a~b~c"],
    )
    @pytest.mark.parametrize("way", ["older", "newer"])
    def test_a_place_that_is_none_leads_back_to_the_list(self, path: str, way: str, place: str, staff: Any) -> None:
        response = client_of(staff).get(f"{path}?{way}={place}", follow=True)
        assert response.status_code == (400 if "%00" in place else 200)


def filters(response: Any) -> list[dict[str, Any]]:
    cl = response.context["cl"]
    return [choice for spec in cl.filter_specs for choice in spec.choices(cl)]


class TestFilters:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "query",
        [
            "status=bogus",
            "period=bogus",
            "trigger_type=1",
            "workflow=bogus",
            "level=%00",
            "workflow_execution=1",
            "node_execution=%00",
            "input_data__contains=1",
            "id__in=1,2",
            "workflow__owner__password__startswith=a",
            "x=1",
            "o=1.2.-9.x",
            "p=-1",
            "all=",
            "_facets=True",
            "e=1",
            "q=%00",
            "q=%ED%A0%80",
            "_to_field=nope",
        ],
    )
    @pytest.mark.parametrize("path", LISTS)
    def test_garbage_in_the_query_string_is_never_a_500(self, path: str, query: str, staff: Any) -> None:
        response = client_of(staff).get(f"{path}?{query}", follow=True)
        assert response.status_code in {200, 400}

    def test_runs_by_status_trigger_and_workflow(self, staff: Any) -> None:
        client = client_of(staff)
        mine, other = fill(2), fill(1)
        in_state(mine[0], "failed")
        assert [run.pk for run in found(client.get(f"{RUNS}?status=failed"))] == [mine[0].pk]
        assert found(client.get(f"{RUNS}?trigger_type=event")) == []
        assert [run.pk for run in found(client.get(f"{RUNS}?workflow={other[0].workflow_id}"))] == [other[0].pk]

    def test_runs_by_date(self, staff: Any) -> None:
        client = client_of(staff)
        old, new = fill(2)
        WorkflowExecution.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=8))
        assert [run.pk for run in found(client.get(f"{RUNS}?period=7"))] == [new.pk]
        assert {run.pk for run in found(client.get(f"{RUNS}?period=30"))} == {old.pk, new.pk}

    def test_nodes_by_status_date_run_and_workflow(self, staff: Any) -> None:
        client = client_of(staff)
        runs, other = fill(2), fill(1)[0]
        assert len(found(client.get(f"{NODES}?status=pending&period=today"))) == 3
        assert [row.workflow_execution_id for row in found(client.get(f"{NODES}?workflow={other.workflow_id}"))] == [
            other.pk
        ]
        by_run = client.get(f"{NODES}?workflow_execution={runs[0].pk}")
        assert [row.workflow_execution_id for row in found(by_run)] == [runs[0].pk]

    def test_lines_by_level_date_run_and_node(self, staff: Any) -> None:
        client = client_of(staff)
        run, other = fill(2)
        node = run.node_executions.get()
        assert len(found(client.get(f"{LOGS}?level=info&period=1"))) == 2
        assert found(client.get(f"{LOGS}?level=error")) == []
        assert [line.workflow_execution_id for line in found(client.get(f"{LOGS}?workflow_execution={other.pk}"))] == [
            other.pk
        ]
        assert [line.node_execution_id for line in found(client.get(f"{LOGS}?node_execution={node.pk}"))] == [node.pk]

    def test_nodes_by_the_trigger_of_their_run_which_a_column_shows(self, staff: Any) -> None:
        client, runs = client_of(staff), fill(2)
        WorkflowExecution.objects.filter(pk=runs[0].pk).update(trigger_type="event")
        response = client.get(f"{NODES}?trigger_type=event")
        assert [row.workflow_execution_id for row in found(response)] == [runs[0].pk]
        assert '<td class="field-trigger" data-label="Trigger">event</td>' in response.content.decode()
        assert found(client.get(f"{NODES}?trigger_type=event&status=failed")) == []

    def test_lines_by_workflow(self, staff: Any) -> None:
        client, other = client_of(staff), fill(1)[0]
        runs = fill(2)
        lines = found(client.get(f"{LOGS}?workflow={runs[0].workflow_id}"))
        assert [line.workflow_execution_id for line in lines] == [runs[1].pk, runs[0].pk]
        assert found(client.get(f"{LOGS}?workflow={other.workflow_id}&level=error")) == []

    def test_nodes_and_lines_by_the_tag_and_the_owner_of_their_run(self, staff: Any) -> None:
        client, run = client_of(staff), fill(1)[0]
        other = WorkflowExecutionFactory(metadata={"tags": ["other"]}, workflow=WorkflowFactory(owner=staff))
        NodeExecutionFactory(workflow_execution=other)
        ExecutionLogFactory(workflow_execution=other)
        for path in (NODES, LOGS):
            for query, expected in (
                ("tag=nightly", run),
                (f"owner={run.workflow.owner.get_username()}", run),
                ("tag=other&owner=me", other),
            ):
                assert {row.workflow_execution_id for row in found(client.get(f"{path}?{query}"))} == {expected.pk}, (
                    query
                )
            assert found(client.get(f"{path}?tag=nightly&owner=me")) == []
            refused = client.get(f"{path}?tag=nightly&owner=nobody")
            assert refused.status_code == 400
            assert "?tag=nightly" in refused.content.decode()

    @pytest.mark.parametrize(
        ("path", "query", "offered"),
        [
            (NODES, "trigger_type=manual", NodeTriggerFilter),
            (NODES, "tag=nightly", NodeTagFilter),
            (NODES, "owner={owner}", NodeOwnerFilter),
            (LOGS, "workflow={workflow}", LogWorkflowFilter),
            (LOGS, "trigger_type=manual", LogTriggerFilter),
            (LOGS, "tag=nightly", LogTagFilter),
            (LOGS, "owner={owner}", LogOwnerFilter),
        ],
    )
    def test_what_is_found_by_run_is_of_the_newest_runs_and_says_so(
        self, path: str, query: str, offered: Any, staff: Any, monkeypatch: Any
    ) -> None:
        assert f"among the newest {offered.shown:,} runs" in str(offered.title)
        monkeypatch.setattr(offered, "shown", 2)
        _old, *new = fill(3)
        known = {"workflow": new[0].workflow_id, "owner": new[0].workflow.owner.get_username()}
        rows = found(client_of(staff).get(f"{path}?{query.format(**known)}"))
        assert {row.workflow_execution_id for row in rows} == {run.pk for run in new}

    @pytest.mark.slow
    @pytest.mark.parametrize(("path", "query"), [(NODES, "trigger_type=manual"), (LOGS, "workflow={workflow}")])
    def test_what_is_found_by_run_is_leafed_through_there_and_back(self, path: str, query: str, staff: Any) -> None:
        client, run = client_of(staff), fill(60)[0]
        first = client.get(f"{path}?{query.format(workflow=run.workflow_id)}")
        second = client.get(path + first.context["cl"].older_link)
        assert [len(found(page)) for page in (first, second)] == [50, 10]
        assert len({row.pk for row in (*found(first), *found(second))}) == 60
        back = client.get(path + second.context["cl"].newer_link)
        assert [row.pk for row in found(back)] == [row.pk for row in found(first)]

    @pytest.mark.parametrize(
        ("path", "query"),
        [
            (NODES, "trigger_type=manual"),
            (NODES, "trigger_type=manual&tag=nightly&owner={owner}"),
            (LOGS, "workflow={workflow}"),
            (LOGS, "workflow={workflow}&trigger_type=manual&tag=nightly&owner={owner}"),
        ],
    )
    def test_what_is_found_by_run_is_looked_for_in_each_run_by_itself(self, path: str, query: str, staff: Any) -> None:
        """No walk along the whole table, which an order and a limit may invite the database to."""
        client, run = client_of(staff), fill(1)[0]
        client.get(path)
        with CaptureQueriesContext(connection) as queries:
            client.get(f"{path}?{query.format(workflow=run.workflow_id, owner=run.workflow.owner.get_username())}")
        (by_run,) = [query["sql"] for query in queries if "unnest(" in query["sql"]]
        assert not by_run.rstrip(")").endswith("LIMIT 51")
        assert [name for name in PAYLOADS if any(name in query["sql"] for query in queries)] == []
        assert len(queries) <= (15 if "owner=" in query else 12)  # who that is, and their workflows

    def test_a_workflow_beyond_those_offered_is_found_by_its_link(self, staff: Any) -> None:
        for _ in range(31):
            WorkflowFactory(name="a")
        run = WorkflowExecutionFactory(workflow=WorkflowFactory(name="z"))
        response = client_of(staff).get(f"{RUNS}?workflow={run.workflow_id}")
        assert [row.pk for row in found(response)] == [run.pk]
        assert "z" in [choice["display"] for choice in filters(response) if choice["selected"]]


class TestSearch:
    def test_runs_by_tag_and_by_a_correlation_id_that_several_have(self, staff: Any) -> None:
        client = client_of(staff)
        fill(2)
        shared = [WorkflowExecutionFactory(metadata={"correlation_id": "shared"}).pk for _ in range(2)]
        assert {run.pk for run in found(client.get(f"{RUNS}?q=shared"))} == set(shared)
        assert len(found(client.get(f"{RUNS}?q=nightly"))) == 2
        assert found(client.get(f"{RUNS}?q=night")) == []

    @pytest.mark.parametrize("path", [NODES, LOGS])
    def test_nodes_and_lines_by_their_own_id_and_by_that_of_their_run(self, path: str, staff: Any) -> None:
        client = client_of(staff)
        run, _other = fill(2)
        row = (run.node_executions if path == NODES else run.logs).get()
        assert [row.pk for row in found(client.get(f"{path}?q={run.pk}"))] == [row.pk]
        assert [row.pk for row in found(client.get(f"{path}?q={row.pk}"))] == [row.pk]
        assert found(client.get(f"{path}?q=words")) == []

    def test_a_run_whose_tags_are_no_list_is_shown_all_the_same(self, staff: Any) -> None:
        run = fill(1)[0]
        WorkflowExecution.objects.filter(pk=run.pk).update(metadata={"tags": {"a": 1}})
        assert client_of(staff).get(RUNS).status_code == 200


def test_staff_who_may_change_but_not_view_see_only_what_is_their_own(db: None) -> None:
    user = UserFactory(is_staff=True)
    user.user_permissions.set(permissions("change_workflowexecution"))
    mine = WorkflowExecutionFactory(workflow=WorkflowFactory(owner=user))
    WorkflowExecutionFactory()
    assert [run.pk for run in found(client_of(user).get(RUNS))] == [mine.pk]


def test_markup_in_a_tag_a_name_or_a_message_is_text(staff: Any) -> None:
    markup = "<script>alert(1)</script>"
    run = WorkflowExecutionFactory(workflow=WorkflowFactory(name=markup), metadata={"tags": [markup]})
    ExecutionLogFactory(workflow_execution=run, message=markup)
    for path in (RUNS, LOGS):
        assert markup not in client_of(staff).get(path).content.decode()


def test_an_empty_list_says_so(staff: Any) -> None:
    assert "Nothing has run yet." in client_of(staff).get(RUNS).content.decode()


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_checkbox_is_that_of_django(language: str) -> None:
    run = WorkflowExecutionFactory.build(workflow_name='a "<b>"')
    page: Any = admin.site.get_model_admin(WorkflowExecution)
    with translation.override(language):
        assert parse_html(page.action_checkbox(run)) == parse_html(ModelAdmin.action_checkbox(page, run))
